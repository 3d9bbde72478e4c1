// Attention: what I look at, what I compare, what it says in numbers.
import type { InspectorState } from "../lib/state";
import { el } from "./dom";
import { drawHeadGrid } from "./head_grid";
import { drawHeadReadout } from "./head_readout";
import { drawImageStrip } from "./image_strip";
import { drawLayerSlider } from "./layer_slider";
import { drawOverlayControls } from "./overlay_controls";
import { drawPatchOverlay } from "./patch_overlay";
import { drawPredictions } from "./predictions";
import type { AttentionView } from "./view";

/** Fills the three columns. */
export function drawAttentionTab(columns: HTMLElement, view: AttentionView<InspectorState>): void {
  const [overlay, images, slider, heads] = [el("div"), el("div"), el("div"), el("div")];
  const [predictions, numbers] = [el("section"), el("section")];
  const controls = el("div");
  const display = el(
    "section",
    "vw-section vw-display",
    {},
    el("div", "vw-bar", {}, el("span", "vw-title", {}, "Overlay")),
    controls,
  );
  columns.append(
    el("div", "vw-column vw-column-look", {}, overlay, images),
    el("div", "vw-column vw-column-compare", {}, slider, heads),
    el("div", "vw-column vw-column-numbers", {}, predictions, numbers, display),
  );
  drawPatchOverlay(overlay, view);
  drawImageStrip(images, view);
  drawLayerSlider(slider, view);
  drawHeadGrid(heads, view);
  drawPredictions(predictions, view);
  drawHeadReadout(numbers, view);
  drawOverlayControls(controls, view);
}
