// Norms and layers: the picture with the norms of its patches, or what the query attends to, and
// beside it how all of that changes with depth.
import { type DepthObject, type DepthView, leaveOut, rangeHeat, weightHeat } from "../lib/depth";
import { plain, weight } from "../lib/format";
import { type Place, placeIn } from "../lib/geometry";
import { signedHeat } from "../lib/patch_features";
import type { TokenDepthState } from "../lib/state";
import { current, tokensOf } from "../lib/token_layer";
import { isPacked, unpack } from "../lib/wire";
import { drawDepthCurves } from "./depth_curves";
import { drawDepthHistogram } from "./depth_histogram";
import { drawDepthMatrix } from "./depth_matrix";
import { DEPTH_KEYS, depthModel } from "./depth_model";
import { drawDepthPrefix } from "./depth_prefix";
import { attribute, el, listen, section, setNote, setText } from "./dom";
import type { OpenTab } from "./inspector";
import { drawImageControls } from "./overlay_controls";
import type { OverlayScene } from "./overlay_painter";
import { drawPatchStage } from "./patch_stage";
import { saveScenes } from "./save_scenes";
import { segmented } from "./segmented";
import { drawTokenChoices, drawTokenFrame } from "./token_tab";
import type { View } from "./view";

const VIEWS: readonly { value: DepthView; text: string }[] = [
  { value: "norms", text: "Norms" },
  { value: "attention", text: "Attention" },
  { value: "object", text: "Object" },
];

const WHAT: Record<DepthView, string> = {
  norms: "Norm of each patch, from the smallest to the largest; what stands out is outlined.",
  attention: "What the token asked about attends to, the mean over heads.",
  object: "TokenCut: the patches are cut in two where they hang together least (τ 0.2).",
};

const LABEL: Record<DepthView, string> = {
  norms: "norms of patches",
  attention: "attention",
  object: "object",
};

const HEAT: Record<DepthView, typeof rangeHeat> = {
  norms: rangeHeat,
  attention: weightHeat,
  object: signedHeat,
};

/** Values over the patches of the picture, as they are drawn and read. */
interface Shown {
  values: ArrayLike<number>;
  rows: number;
  cols: number;
  /** What is outlined; none: patches that stand out. */
  object?: ArrayLike<number>;
}

export function drawDepthTab(
  element: HTMLElement,
  view: View<TokenDepthState>,
  leave: () => boolean,
): OpenTab {
  const { store, signal } = view;
  const model = depthModel(view);
  const [look, chips, images, layers, controls] = Array.from({ length: 5 }, () => el("div"));
  const [bars, curves, matrix, prefix] = Array.from({ length: 4 }, () => el("div"));
  const what = el("p", "vw-note");
  const note = el("p", "vw-note", { role: "status" });
  const without = el("input", "", { type: "checkbox" });
  const title = el("span", "vw-title");
  const own = el("p", "vw-note");
  listen(without, "change", () => store.set("depth_without", without.checked), signal);
  const left = el("div", "vw-column vw-column-look", {}, look, chips, images);
  left.append(
    el(
      "section",
      "vw-section",
      {},
      el(
        "div",
        "vw-bar vw-bar-wrap",
        {},
        el("span", "vw-title", {}, "On the image"),
        segmented(view, "depth_view", "what lies over the image", VIEWS),
      ),
      what,
      el("label", "vw-depth-check", {}, without, " leave out the patches that stand out"),
      note,
      controls,
    ),
    section("What class and register tokens attend to", prefix),
  );
  const right = el(
    "div",
    "vw-column vw-column-compare",
    {},
    layers,
    section(title, bars, own),
    section("From layer to layer", curves),
    section("How alike layers are", matrix),
  );
  element.append(el("div", "vw-columns vw-depth", {}, left, right));

  function shown(): Shown | null {
    if (store.get("depth_view") === "norms") {
      const block = model.blocks()[model.at()];
      if (!block || block.rows === 0) return null;
      const set = model.leftOut(block.patches.length);
      const values = set
        ? block.patches.map((norm, i) => (set[i] ? Number.NaN : norm))
        : block.patches;
      return { values, rows: block.rows, cols: block.cols };
    }
    if (store.get("depth_view") === "object") {
      const cut = model.object();
      if (!cut || !isPacked(cut.values) || !isPacked(cut.mask)) return null;
      const { codes, shape } = unpack(cut.values);
      return { values: codes, rows: shape[0], cols: shape[1], object: unpack(cut.mask).codes };
    }
    const found = model.attention();
    if (!found || !isPacked(found.values)) return null;
    const { codes, shape } = unpack(found.values);
    const set = model.leftOut(codes.length);
    const values = set && found.prefix !== null ? leaveOut(codes, set, found.prefix) : codes;
    return { values, rows: shape[0], cols: shape[1] };
  }
  function over(): Partial<OverlayScene> {
    const now = shown();
    if (!now) return {};
    const { values, rows, cols, object } = now;
    const heat = HEAT[store.get("depth_view")](values, rows, cols);
    if (object) return { heat, outlined: [object] };
    const out = model.out();
    const outlined = !store.get("depth_without") && out.includes(1) && out.length === rows * cols;
    return { heat, outlined: outlined ? [out] : [] };
  }
  const stage = drawPatchStage(look, view, {
    label: () => LABEL[store.get("depth_view")],
    over,
  });
  drawTokenChoices(view, { chips, images, layers });
  drawImageControls(controls, view);
  drawDepthHistogram(bars, view, model);
  drawDepthCurves(curves, view, model);
  drawDepthMatrix(matrix, view, model);
  drawDepthPrefix(prefix, view, model);

  /** The number at the patch under the pointer, or at the token that is asked about. */
  function say(): string {
    const [tokens, block] = [tokensOf(store), model.blocks()[model.at()]];
    const query = store.get("query");
    const place: Place | null = stage.pointed.get() ?? (tokens && placeIn(query, tokens));
    if (!place) {
      const norm = block?.prefix[block.names.indexOf(tokens?.reference.names[query] ?? "")];
      return norm === undefined ? "" : `norm ${plain(norm)}, ${times(norm, block.median)}`;
    }
    const now = shown();
    const where = `patch (${place.row}, ${place.col})`;
    if (!now) return where;
    const at = place.row * now.cols + place.col;
    const value = now.values[at];
    if (Number.isNaN(value)) return `${where}: left out, or out of sight`;
    if (now.object)
      return `${where}: eigenvector ${weight(value)}${now.object[at] ? ", in the object" : ""}`;
    return store.get("depth_view") === "norms"
      ? `${where}: norm ${plain(value)}, ${times(value, block?.median)}`
      : `${where}: weight ${weight(value)}`;
  }
  const times = (norm: number, median = Number.NaN) => `${(norm / median).toFixed(1)} × the median`;
  const drawSaid = drawTokenFrame(
    element,
    view,
    {
      say,
      keys: [
        ["n a c", "norms, attention, the object that is cut out"],
        ["o", "leave out the patches that stand out"],
        ["arrows on the matrix", "the two layers that are compared"],
      ],
      press(key, control) {
        if (control) return false;
        if (key === "o") store.set("depth_without", !store.get("depth_without"));
        else if (key === "n") store.set("depth_view", "norms");
        else if (key === "a") store.set("depth_view", "attention");
        else if (key === "c") store.set("depth_view", "object");
        else return false;
        return true;
      },
    },
    leave,
  );

  /** Why nothing lies over the image, or what is not the whole of it. */
  function words(): string {
    const shows = store.get("depth_view");
    const attention = shows === "attention";
    const parts = [model.norms()?.note || current(store)?.note];
    if (attention) parts.push(model.attention()?.note);
    if (shows === "object") parts.push(model.object()?.note);
    const out = model.out();
    if (store.get("depth_without") && out.length) {
      const now = shown();
      const count = out.reduce((sum, one) => sum + one, 0);
      const { prefix = null } = model.attention() ?? {};
      if (count === 0) parts.push("no patch stands out here: nothing is left out");
      else if (shows === "object") parts.push(leftOfCut(model.object()));
      else if (now && now.rows * now.cols !== out.length)
        parts.push("these keys are pooled: patches cannot be left out of them");
      else if (attention && now && prefix === null)
        parts.push("these weights are not shared out of 1: left out, and not shared anew");
      else if (attention)
        parts.push(`${count} patches are left out; their weight is shared among the rest`);
      else parts.push(`${count} patches are left out; the colours span the rest`);
    }
    return [...new Set(parts)].filter(Boolean).join(" · ");
  }
  function draw(): void {
    const now = store.get("depth_view");
    const [at, norms] = [model.at(), model.norms()];
    const block = model.blocks()[at];
    setText(what, WHAT[now]);
    without.checked = store.get("depth_without");
    setNote(note, words());
    setText(title, at >= 0 ? `Norms of patches in block ${at}, logarithmic` : "Norms");
    const around = norms?.norms.filter((one) => one.block === at) ?? [];
    const change = around.map(
      ({ path, before, after }) =>
        `${path} ${plain(before ?? Number.NaN)} → ${plain(after ?? Number.NaN)}`,
    );
    const others = block
      ? block.names.map((name, i) => `${name} ${plain(block.prefix[i])}`).join(", ")
      : "";
    const lines = [
      others && `Prefix tokens: ${others}.`,
      change.length ? `Median before and after normalisation: ${change.join(", ")}.` : "",
    ];
    setNote(own, lines.filter(Boolean).join(" "));
    attribute(element, { "data-answer": shown() ? "current" : "stale", "data-view": now });
    stage.repaint();
    drawSaid();
  }
  view.paintOn([...DEPTH_KEYS, "query", "depth_view", "depth_attention", "depth_object"], draw);
  stage.pointed.on(drawSaid);

  return {
    drawn() {
      const about = current(store);
      if (!about || !shown() || !model.curves() || !model.cka() || !model.prefix()) return "";
      const query = store.get("query");
      return [about.image_index, about.layer, query, store.get("depth_view")].join(":");
    },
    problem: () => "",
    savePng: () =>
      saveScenes([stage.scene()], `${store.get("depth_view")}-layer-${store.get("layer")}.png`),
  };
}

/** What was left out of the graph; "" while the cut is on its way. */
function leftOfCut(cut: DepthObject | null): string {
  if (!cut || !isPacked(cut.values)) return "";
  return `${cut.left_out} patches are left out; the others are cut without them`;
}
