// One screen: what I look at, what I compare, what it says in numbers. All parts share one store.
import type { InspectorState } from "../lib/state";
import { attribute, el } from "./dom";
import { drawFooter } from "./footer";
import { drawHeadGrid } from "./head_grid";
import { drawHeadReadout } from "./head_readout";
import { drawHeader } from "./header";
import { drawImageStrip } from "./image_strip";
import { bindKeys, keyList } from "./keys";
import { drawLayerSlider } from "./layer_slider";
import { drawOverlayControls } from "./overlay_controls";
import { drawPatchOverlay } from "./patch_overlay";
import { drawPredictions } from "./predictions";
import { drawBlank, drawNotice } from "./status";
import type { AttentionView } from "./view";

export function drawInspector(element: HTMLElement, view: AttentionView<InspectorState>): void {
  const header = el("header");
  const notice = el("div");
  const blank = el("div");
  const overlay = el("div");
  const images = el("div");
  const slider = el("div");
  const heads = el("div");
  const predictions = el("section");
  const numbers = el("section");
  const controls = el("div");
  const display = el(
    "section",
    "vw-section vw-display",
    {},
    el("div", "vw-bar", {}, el("span", "vw-title", {}, "Overlay")),
    controls,
  );
  const body = el(
    "div",
    "vw-columns",
    {},
    el("div", "vw-column vw-column-look", {}, overlay, images),
    el("div", "vw-column vw-column-compare", {}, slider, heads),
    el("div", "vw-column vw-column-numbers", {}, predictions, numbers, display),
  );
  const footer = el("footer");
  const keys = keyList();
  element.classList.add("vw-inspector");
  element.append(header, notice, blank, body, keys.element, footer);

  const { leave } = drawHeader(header, view);
  const drawProblem = drawNotice(notice, view, view.attention.problem);
  view.attention.on(() => view.paint(drawProblem));
  drawBlank(blank, view, body);
  drawPatchOverlay(overlay, view);
  drawImageStrip(images, view);
  drawLayerSlider(slider, view);
  drawHeadGrid(heads, view);
  drawPredictions(predictions, view);
  drawHeadReadout(numbers, view);
  drawOverlayControls(controls, view);
  drawFooter(footer, view, keys.toggle);
  bindKeys(view, { help: keys.toggle, escape: () => keys.close() || leave() });
  view.paintOn(["status", "layer_labels"], () => {
    const { state } = view.store.get("status");
    attribute(element, {
      "data-state": state,
      "data-layers": view.store.get("layer_labels").length,
    });
  });
}
