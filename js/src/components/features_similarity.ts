// Similar patches, also on another image: the cosine of the patch that is asked about to every one.
import { signedHeat } from "../lib/patch_features";
import type { PatchFeaturesState } from "../lib/state";
import { isPacked, unpack } from "../lib/wire";
import { attribute, context2d, el, listen, onResize, setText, sizeCanvas } from "./dom";
import { answerOf, type FeatureView, line, ownAxis, setting, valueAt } from "./features_view";
import { emptyScene, type OverlayScene, paintOverlay } from "./overlay_painter";
import { photoCache } from "./photo";
import type { View } from "./view";

export function similarityView(view: View<PatchFeaturesState>): FeatureView {
  const { store } = view;
  const answer = () => answerOf(store, store.get("similarity"));
  const matches = () =>
    store.get("features_onto") < 0 ? null : answerOf(store, store.get("matches"));
  return {
    what: "Cosine of the patch that is asked about to every other; zero is the middle.",
    controls: [ontoChoice(view)],
    answer() {
      const [here, there] = [answer(), matches()];
      if (!here || (store.get("features_onto") >= 0 && !there)) return null;
      const notes = new Set([here.note, there?.note ?? ""].filter(Boolean));
      return { axis: here.axis, note: [...notes].join(" · ") };
    },
    over() {
      const values = answer()?.values ?? null;
      if (!isPacked(values)) return {};
      const { codes, shape } = unpack(values);
      return { heat: signedHeat(codes, shape[0], shape[1]) };
    },
    number(place) {
      const cosine = valueAt(answer()?.values ?? null, place);
      return cosine === null ? null : `cosine ${cosine.toFixed(3)}`;
    },
    lines() {
      const found = matches();
      const best = found?.best.length
        ? [
            line(`best match, patch (${found.best.join(", ")})`, found.cosine?.toFixed(3) ?? "–"),
            ...(found.mutual === null
              ? []
              : [line("the two choose each other", found.mutual ? "yes" : "no")]),
          ]
        : [];
      const prefix = Object.entries(answer()?.prefix ?? {}).map(([name, value]) =>
        line(`${name} token`, value === null ? "–" : value.toFixed(3)),
      );
      return [...best, ...prefix];
    },
  };
}

/** On which other image the patch is looked for as well. */
function ontoChoice(view: View<PatchFeaturesState>): HTMLElement {
  const { store, signal } = view;
  const select = el("select", "vw-menu", { "aria-label": "other image" });
  const control = setting("also on image", select);
  listen(select, "change", () => store.set("features_onto", Number(select.value)), signal);
  view.paintOn(["image_names", "image_index", "features_onto"], () => {
    const names = store.get("image_names");
    control.hidden = names.length < 2;
    const here = store.get("image_index");
    const others = names
      .map((name, i) => ({ name: `${i}: ${name}`, i }))
      .filter(({ i }) => i !== here);
    const now = store.get("features_onto");
    if (now === here) others.push({ name: "this one", i: here });
    select.replaceChildren(
      ...[{ name: "none", i: -1 }, ...others].map(({ name, i }) =>
        el("option", "", { value: i, selected: i === now }, name),
      ),
    );
    select.value = String(now);
  });
  return control;
}

/** The other image beside the one in view. What it returns is drawn for a PNG. */
export function drawOntoStage(
  element: HTMLElement,
  view: View<PatchFeaturesState>,
): () => OverlayScene | null {
  const { store } = view;
  const photoOf = photoCache();
  const canvas = el("canvas", "vw-overlay-canvas");
  const stage = el("div", "vw-stage vw-stage-still", { role: "img" }, canvas);
  const caption = el("p", "vw-note vw-ellipsis");
  element.append(stage, caption);

  function scene(): OverlayScene | null {
    const onto = store.get("features_onto");
    if (store.get("features_view") !== "similarity" || onto < 0) return null;
    const held = store.get("onto_picture");
    const picture = held && "onto" in held && held.onto === onto ? held.picture : null;
    const found = answerOf(store, store.get("matches"));
    const values = found && isPacked(found.values) ? unpack(found.values) : null;
    const [rows, cols] = values?.shape ?? [0, 0];
    const best = new Uint8Array(rows * cols);
    if (found?.best.length) best[found.best[0] * cols + found.best[1]] = 1;
    const layer = store.get("token_layer");
    const axis = layer && "axis" in layer ? ownAxis({ axis: layer.axis ?? {}, note: "" }) : null;
    return {
      ...emptyScene(store),
      photo: photoOf(isPacked(picture) ? picture : null),
      heat: values && signedHeat(values.codes, rows, cols),
      map: (found && ownAxis(found)) ?? axis,
      outlined: values ? [best] : [],
    };
  }
  function draw(): void {
    const now = scene();
    element.hidden = now === null;
    if (!now) return;
    const { photo } = now;
    stage.style.setProperty("--vw-aspect", String(photo ? photo.width / photo.height : 1));
    const onto = store.get("features_onto");
    const name = store.get("image_names")[onto] ?? "";
    const text = `image ${onto}${name ? `, ${name}` : ""}; best match outlined`;
    setText(caption, text);
    attribute(stage, { "aria-label": text });
    if (!sizeCanvas(canvas, size.width, size.height)) return;
    const box = { x: 0, y: 0, width: canvas.width, height: canvas.height };
    paintOverlay(context2d(canvas), box, canvas.width / size.width, now);
  }
  const size = onResize(stage, () => view.paint(draw), view.signal);
  view.paintOn(
    [
      ...(["layer", "image_index", "query", "image_names", "token_layer"] as const),
      ...(["features_view", "features_onto", "features_of"] as const),
      ...(["matches", "onto_picture", "opacity", "drawing", "colormap"] as const),
    ],
    draw,
  );
  return scene;
}
