// Where the heads look, as masks: the fewest patches that hold most of the attention of a token.
import { percent } from "../lib/format";
import { headMasks, plainHeat, together } from "../lib/patch_features";
import type { PatchFeaturesState } from "../lib/state";
import { current } from "../lib/token_layer";
import { isPacked, unpack } from "../lib/wire";
import { attribute, context2d, el, listen, setText } from "./dom";
import { answerOf, type FeatureView, line, ownAxis, setting } from "./features_view";
import { slider } from "./overlay_controls";
import { emptyScene, paintOverlay } from "./overlay_painter";
import { segmented } from "./segmented";
import type { View } from "./view";

const SIDE = 96; // pixels of a small picture, on any screen

export function headsView(view: View<PatchFeaturesState>): FeatureView {
  const { store, signal } = view;
  const answer = () => answerOf(store, store.get("head_weights"));
  const grid = el("div", "vw-head-masks", { role: "group", "aria-label": "heads" });
  listen(
    grid,
    "click",
    (event) => {
      const item = event.target instanceof Element ? event.target.closest("[data-head]") : null;
      if (!item) return;
      store.set("head", Number(item.getAttribute("data-head")));
      store.set("features_heads", "one head");
    },
    signal,
  );

  function heads() {
    const packed = answer()?.weights ?? null;
    if (!isPacked(packed)) return null;
    const { codes, shape } = unpack(packed);
    const masks = headMasks(codes as Float32Array, shape[0], store.get("features_mass"));
    const chosen = Math.min(store.get("head"), shape[0] - 1);
    const all = store.get("features_heads") === "all heads";
    return {
      masks,
      chosen,
      rows: shape[1],
      cols: shape[2],
      shown: all ? together(masks) : masks[chosen],
    };
  }
  return {
    what: "The fewest patches that hold a share of what a head gives to patches; the chosen token asks.",
    controls: [
      slider(view, "features_mass", { min: 0.1, max: 0.95, label: "share held" }, percent),
      setting(
        "outlined",
        segmented(view, "features_heads", "whose mask is outlined", [
          { value: "one head", text: "one head" },
          { value: "all heads", text: "all heads" },
        ]),
      ),
    ],
    below: grid,
    answer,
    over() {
      const now = heads();
      if (!now) return {};
      const heat = plainHeat(now.shown.weights, now.rows, now.cols);
      return { heat, outlined: [now.shown.mask] };
    },
    number({ row, col }) {
      const now = heads();
      if (!now) return null;
      const at = row * now.cols + col;
      const inside = now.shown.mask[at] ? "in the mask" : "outside the mask";
      return `weight ${now.shown.weights[at].toPrecision(3)}, ${inside}`;
    },
    lines() {
      const [now, found] = [heads(), answer()];
      if (!now || !found) return [];
      const size = now.shown.mask.reduce((sum, one) => sum + one, 0);
      const all = store.get("features_heads") === "all heads";
      return [
        line("asked by", found.asked),
        line(
          all ? "in the mask of any head" : `in the mask of head ${now.chosen}`,
          `${size} patches`,
        ),
        ...(all
          ? []
          : [line(`head ${now.chosen} gives to patches`, percent(found.on_patches[now.chosen]))]),
      ];
    },
    draw(photo) {
      const [now, found] = [heads(), answer()];
      if (!now || !found) {
        grid.replaceChildren();
        return;
      }
      while (grid.childElementCount > now.masks.length) grid.lastElementChild?.remove();
      while (grid.childElementCount < now.masks.length)
        grid.append(makeHead(grid.childElementCount));
      const axis = ownAxis(found) ?? ownAxis({ axis: current(store)?.axis ?? {}, note: "" });
      const aspect = photo ? photo.width / photo.height : 1;
      now.masks.forEach(({ weights, mask }, head) => {
        const item = grid.children[head];
        const size = mask.reduce((sum, one) => sum + one, 0);
        const one = store.get("features_heads") === "one head" && head === now.chosen;
        attribute(item, {
          "aria-pressed": String(one),
          "aria-label": `head ${head}, ${size} patches`,
        });
        setText(item.lastElementChild as Element, `${head} · ${size}`);
        const canvas = item.firstElementChild as HTMLCanvasElement;
        const ratio = window.devicePixelRatio || 1;
        canvas.width = Math.round(SIDE * ratio * Math.min(1, aspect));
        canvas.height = Math.round((SIDE * ratio) / Math.max(1, aspect));
        const box = { x: 0, y: 0, width: canvas.width, height: canvas.height };
        paintOverlay(context2d(canvas), box, ratio, {
          ...emptyScene(store),
          photo,
          heat: plainHeat(weights, now.rows, now.cols),
          map: axis,
          drawing: "patches",
          outlined: [mask],
        });
      });
    },
  };
}

function makeHead(head: number): HTMLElement {
  return el(
    "button",
    "vw-head-mask",
    { type: "button", "data-head": head },
    el("canvas", "", { "aria-hidden": "true" }),
    el("span", "vw-number"),
  );
}
