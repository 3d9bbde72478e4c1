// One neuron from all sides: its optimised image, what excites it, and what it is for.
import { grouped } from "../lib/format";
import { neuronCount, SELECTION, selectionOf, standingOf } from "../lib/neuron";
import type { FeatureCanvasState, NeuronPageState } from "../lib/state";
import type { Store } from "../lib/store";
import { attribute, el, setText } from "./dom";
import { drawFeatureCanvas } from "./feature_canvas";
import { drawNeuronAtlas } from "./neuron_atlas";
import { drawNeuronChoice } from "./neuron_choice";
import { drawClassCounts, drawEffects } from "./neuron_classes";
import { drawDistribution } from "./neuron_distribution";
import { drawNeuronImage, type NeuronImage } from "./neuron_image";
import { drawAlike, drawBookmarks, drawPatchNeurons, drawSpecific } from "./neuron_relatives";
import { drawClassNeurons } from "./neuron_target";
import { drawNeuronTop } from "./neuron_top";
import { drawImageControls } from "./overlay_controls";
import type { View } from "./view";

const SCAN = "index = vw.dataset.scan(model, images)";

export function drawNeuronPage(
  element: HTMLElement,
  view: View<NeuronPageState>,
  image: NeuronImage,
): void {
  const { store } = view;
  const none = el("p", "vw-blank-text vw-neuron-none");
  const choice = el("div");
  const atlas = el("section");
  const name = el("span", "vw-title");
  const bar = el(
    "div",
    "vw-bar",
    {},
    name,
    el("span", "vw-muted vw-small", {}, "optimised for it"),
  );
  const optimised = el("div");
  const [top, index, distribution] = [el("section"), el("section"), el("section")];
  const [here, patch] = [el("section"), el("section")];
  const [classes, effects, alike] = [el("section"), el("section"), el("section")];
  const [selective, specific, bookmarks] = [el("section"), el("section"), el("section")];
  const controls = el("div");
  const display = el(
    "section",
    "vw-section vw-display",
    {},
    el("div", "vw-bar", {}, el("span", "vw-title", {}, "Overlay")),
    controls,
  );
  const numbers = [classes, effects, alike, selective, specific, bookmarks, display];
  const body = el(
    "div",
    "vw-columns vw-neuron-columns",
    {},
    el("div", "vw-column vw-column-look", {}, el("div", "", {}, bar, optimised)),
    el(
      "div",
      "vw-column vw-column-compare",
      {},
      index,
      top,
      distribution,
      el("div", "vw-neuron-here", {}, here, patch),
    ),
    el("div", "vw-column vw-column-numbers", {}, ...numbers),
  );
  element.classList.add("vw-neuron-page");
  element.append(none, choice, atlas, body);

  drawNeuronChoice(choice, view);
  drawNeuronAtlas(atlas, view);
  drawFeatureCanvas(optimised, view as unknown as View<FeatureCanvasState>, () => {
    return selectionOf(store).layer;
  });
  drawNeuronImage(here, view, image);
  drawPatchNeurons(patch, view, image);
  drawNeuronTop(top, view);
  drawIndexNote(index, view);
  drawDistribution(distribution, view);
  drawClassCounts(classes, view);
  drawEffects(effects, view);
  drawAlike(alike, view);
  drawClassNeurons(selective, view);
  drawSpecific(specific, view);
  drawBookmarks(bookmarks, view);
  drawImageControls(controls, view);

  view.paintOn([...SELECTION, "status", "index_note"], () => {
    const { layer, neuron } = selectionOf(store);
    const nothing = store.get("neuron_counts").length === 0;
    const count = neuronCount(store);
    setText(none, nothing ? whyNone(store) : "This layer has no neurons of its own.");
    none.hidden = count > 0;
    for (const part of [body, atlas]) attribute(part, { inert: count === 0 });
    body.hidden = count === 0;
    choice.hidden = nothing;
    setText(name, `Layer ${layer} · neuron ${grouped(neuron)}`);
    attribute(element, { "data-neuron": `${layer}:${neuron}` });
  });
}

function whyNone(store: Store<NeuronPageState>): string {
  const { state, text } = store.get("status");
  if (state === "working") return `${text} …`;
  return store.get("index_note") || "No hidden neurons were found in this model.";
}

/** Where there is no index: why, and the line that makes one. */
function drawIndexNote(element: HTMLElement, view: View<NeuronPageState>): void {
  const { store } = view;
  const text = el("p", "vw-note");
  const code = el("code", "vw-code", {}, SCAN);
  element.classList.add("vw-index-note");
  element.append(text, code);
  view.paintOn(["index_note", "top_images", ...SELECTION], () => {
    const note = store.get("index_note");
    setText(text, note);
    element.hidden = note === "";
    attribute(element, { "data-empty": standingOf(store, "top_images") === "none" });
  });
}

/** What is on screen, for `data-drawn`. */
export function neuronDrawn({ store }: View<NeuronPageState>): string {
  const { layer, neuron, query, image_index } = selectionOf(store);
  return [image_index, layer, neuron, query].join(":");
}
