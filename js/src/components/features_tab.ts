// Patch features: the picture with one of four answers over it, and that answer in numbers.
import { percent } from "../lib/format";
import { placeIn } from "../lib/geometry";
import {
  ANSWER,
  type Colours,
  type FeaturesView,
  type ObjectCut,
  opaque,
  type Segments,
  type Similarity,
  segmentColour,
  segmentPixels,
  signedHeat,
} from "../lib/patch_features";
import type { PatchFeaturesState } from "../lib/state";
import { current, tokensOf } from "../lib/token_layer";
import { isPacked, type MaybePacked, unpack } from "../lib/wire";
import { attribute, context2d, el, setText } from "./dom";
import { saveCanvas } from "./download";
import { drawImageStrip } from "./image_strip";
import type { OpenTab } from "./inspector";
import { drawLayerSlider } from "./layer_slider";
import { drawImageControls, slider } from "./overlay_controls";
import { type OverlayScene, paintOverlay } from "./overlay_painter";
import { drawPatchStage } from "./patch_stage";
import { segmented } from "./segmented";
import { drawTokenChips } from "./token_chips";
import { drawTokenFrame } from "./token_tab";
import type { View } from "./view";

const VIEWS: readonly { value: FeaturesView; text: string }[] = [
  { value: "similarity", text: "Similar" },
  { value: "colours", text: "Colours" },
  { value: "segments", text: "Segments" },
  { value: "object", text: "Object" },
];

interface About {
  layer: number;
  image_index: number;
  query: number;
  k: number;
  tau: number;
}

const WHAT: Record<FeaturesView, string> = {
  similarity: "Cosine of the patch that is asked about to every other; zero is the middle.",
  colours: "Three principal components of the patches, as red, green and blue.",
  segments: "Patches that k-means puts together, by their features alone.",
  object: "TokenCut: the patches are cut in two where they hang together least.",
};

export function drawFeaturesTab(
  element: HTMLElement,
  view: View<PatchFeaturesState>,
  leave: () => boolean,
): OpenTab {
  const { store } = view;
  const [look, chips, images, layers] = [el("div"), el("div"), el("div"), el("div")];
  const choice = segmented(view, "features_view", "what is shown", VIEWS);
  const what = el("p", "vw-note");
  const note = el("p", "vw-note", { role: "status" });
  const numbers = el("div", "vw-feature-numbers");
  const controls = el("div");
  const many = slider(view, "features_k", { min: 1, max: 64, step: 1, label: "segments" }, String);
  const least = slider(view, "features_tau", { min: -1, label: "least cosine (τ)" }, (tau) =>
    tau.toFixed(2),
  );
  const answer = el(
    "section",
    "vw-section",
    {},
    el("div", "vw-bar", {}, el("span", "vw-title", {}, "Features of patches"), choice),
    what,
    many,
    least,
    note,
    numbers,
  );
  const columns = el(
    "div",
    "vw-columns vw-features",
    {},
    el("div", "vw-column vw-column-look", {}, look, chips, images),
    el("div", "vw-column vw-column-compare", {}, layers, answer, controls),
  );
  element.append(columns);

  const shown = () => store.get("features_view");
  /** The answer of the view that is open, if it is about what is selected. */
  function mine<T>(wanted: FeaturesView): T | null {
    const found = store.get(ANSWER[wanted]) as Partial<About>;
    const same =
      shown() === wanted &&
      found.layer === store.get("layer") &&
      found.image_index === store.get("image_index") &&
      (found.query === undefined || found.query === store.get("query")) &&
      (found.k === undefined || found.k === store.get("features_k")) &&
      (found.tau === undefined || found.tau === store.get("features_tau"));
    return same ? (found as unknown as T) : null;
  }

  function over(): Partial<OverlayScene> {
    const similarity = mine<Similarity>("similarity");
    if (similarity && isPacked(similarity.values)) {
      const { codes, shape } = unpack(similarity.values);
      return { heat: signedHeat(codes, shape[0], shape[1]) };
    }
    const colours = mine<Colours>("colours");
    if (colours && isPacked(colours.values)) {
      const { codes, shape } = unpack(colours.values);
      return { cells: pixels(opaque(codes), shape[2]) };
    }
    const segments = mine<Segments>("segments");
    if (segments && isPacked(segments.labels)) {
      const { codes, shape } = unpack(segments.labels);
      return { cells: pixels(segmentPixels(codes), shape[1]) };
    }
    const cut = mine<ObjectCut>("object");
    if (cut && isPacked(cut.eigenvector) && isPacked(cut.mask)) {
      const { codes, shape } = unpack(cut.eigenvector);
      const [top, left, bottom, right] = cut.box;
      return {
        heat: signedHeat(codes, shape[0], shape[1]),
        outlined: [unpack(cut.mask).codes],
        frame: cut.box.length === 4 ? { top, left, bottom, right } : null,
      };
    }
    return {};
  }
  const stage = drawPatchStage(look, view, {
    label: () => VIEWS.find(({ value }) => value === shown())?.text.toLowerCase() ?? "",
    over,
  });
  drawTokenChips(
    chips,
    view,
    () => tokensOf(store),
    (paint) => view.paintOn(["token_layer"], paint),
  );
  drawImageStrip(images, view);
  drawLayerSlider(layers, view);
  drawImageControls(controls, view);

  /** The number at the patch under the pointer, or at the one that is asked about. */
  function say(): string {
    const tokens = tokensOf(store);
    const place = stage.pointed.get() ?? (tokens && placeIn(store.get("query"), tokens));
    if (!place) return "";
    const where = `patch (${place.row}, ${place.col})`;
    const at = (packed: MaybePacked) => {
      if (!isPacked(packed)) return null;
      const { codes, shape } = unpack(packed);
      return codes[place.row * (shape.at(-1) ?? 0) + place.col];
    };
    const similarity = at(mine<Similarity>("similarity")?.values ?? null);
    if (similarity !== null) return `${where}: cosine ${similarity.toFixed(3)}`;
    const segment = at(mine<Segments>("segments")?.labels ?? null);
    if (segment !== null) return `${where}: segment ${segment}`;
    const cut = at(mine<ObjectCut>("object")?.eigenvector ?? null);
    return cut !== null ? `${where}: eigenvector ${cut.toFixed(3)}` : where;
  }
  const drawSaid = drawTokenFrame(
    element,
    view,
    {
      say,
      keys: [["s c k o", "similar, colours, segments, object"]],
      press(key, control) {
        const at = control ? -1 : "scko".indexOf(key);
        if (at < 0) return false;
        store.set("features_view", VIEWS[at].value);
        return true;
      },
    },
    leave,
  );

  function draw(): void {
    const now = shown();
    setText(what, WHAT[now]);
    many.hidden = now !== "segments";
    least.hidden = now !== "object";
    const found = mine<Similarity | Colours | Segments | ObjectCut>(now);
    const words = [current(store)?.note, found?.note].filter(Boolean).join(" · ");
    setText(note, words);
    note.hidden = words === "";
    numbers.replaceChildren(...lines());
    attribute(element, { "data-answer": found ? "current" : "stale", "data-view": now });
    stage.repaint();
    drawSaid();
  }
  function lines(): HTMLElement[] {
    const line = (name: string, value: string, colour?: string) => {
      const swatch = el("span", "vw-swatch");
      if (colour) swatch.style.background = colour;
      return el(
        "div",
        "vw-control",
        {},
        ...(colour ? [swatch] : []),
        el("span", "vw-muted", {}, name),
        el("span", "vw-number", {}, value),
      );
    };
    const similarity = mine<Similarity>("similarity");
    if (similarity)
      return Object.entries(similarity.prefix).map(([name, value]) =>
        line(`${name} token`, value === null ? "–" : value.toFixed(3)),
      );
    const colours = mine<Colours>("colours");
    if (colours)
      return colours.explained.map((share, i) =>
        line(`component ${i + 1}, of the variance`, percent(share)),
      );
    const segments = mine<Segments>("segments");
    if (segments)
      return segments.sizes.map((size, i) =>
        line(`segment ${i}`, `${size} patches`, `rgb(${segmentColour(i).join()})`),
      );
    const cut = mine<ObjectCut>("object");
    if (!cut || !isPacked(cut.mask)) return [];
    const inside = Array.from(unpack(cut.mask).codes).filter((one) => one > 0).length;
    return [line("patches in the object", String(inside)), line("τ", cut.tau.toFixed(2))];
  }
  view.paintOn(
    [
      ...(["layer", "query", "image_index", "token_layer"] as const),
      ...(["features_view", "features_k", "features_tau"] as const),
      ...Object.values(ANSWER),
    ],
    draw,
  );
  stage.pointed.on(drawSaid);

  return {
    drawn() {
      const about = current(store);
      if (!about || !mine(shown())) return "";
      return [about.image_index, about.layer, store.get("query"), shown()].join(":");
    },
    problem: () => "",
    async savePng() {
      const canvas = el("canvas");
      const scene = stage.scene();
      const side = 1200;
      const aspect = scene.photo ? scene.photo.width / scene.photo.height : 1;
      canvas.width = Math.round(side * Math.min(1, aspect));
      canvas.height = Math.round(side / Math.max(1, aspect));
      const box = { x: 0, y: 0, width: canvas.width, height: canvas.height };
      paintOverlay(context2d(canvas), box, 2, scene);
      await saveCanvas(canvas, `${store.get("features_view")}-layer-${store.get("layer")}.png`);
    },
  };
}

function pixels(rgba: Uint8ClampedArray, cols: number): ImageData {
  const image = new ImageData(cols, rgba.length / 4 / cols);
  image.data.set(rgba);
  return image;
}
