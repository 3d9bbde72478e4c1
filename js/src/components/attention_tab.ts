// Attention: what I look at, what I compare, what it says in numbers.
import type { InspectorState } from "../lib/state";
import { el } from "./dom";
import { drawFooter } from "./footer";
import { drawHeadGrid } from "./head_grid";
import { drawHeadReadout } from "./head_readout";
import { drawImageStrip } from "./image_strip";
import type { OpenTab } from "./inspector";
import { ATTENTION_KEYS, bindKeys, keyList } from "./keys";
import { drawLayerSlider } from "./layer_slider";
import { drawOverlayControls } from "./overlay_controls";
import { drawPatchOverlay } from "./patch_overlay";
import { savePng } from "./png";
import { drawPredictions } from "./predictions";
import { drawBlankAttention } from "./status";
import { type View, withAttention } from "./view";

/** `leave` is asked, on Escape, when there is nothing to close here, `read` when other data has come. */
export function drawAttentionTab(
  element: HTMLElement,
  plain: View<InspectorState>,
  leave: () => boolean,
  read: () => void,
): OpenTab {
  const view = withAttention(plain);
  const { attention } = view;
  const [blank, footer] = [el("div"), el("footer")];
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
  const columns = el(
    "div",
    "vw-columns vw-attention",
    {},
    el("div", "vw-column vw-column-look", {}, overlay, images),
    el("div", "vw-column vw-column-compare", {}, slider, heads),
    el("div", "vw-column vw-column-numbers", {}, predictions, numbers, display),
  );
  const keys = keyList(ATTENTION_KEYS);
  element.append(blank, columns, keys.element, footer);

  attention.on(() => view.paint(read));
  drawBlankAttention(blank, view, columns);
  drawPatchOverlay(overlay, view);
  drawImageStrip(images, view);
  drawLayerSlider(slider, view);
  drawHeadGrid(heads, view);
  drawPredictions(predictions, view);
  drawHeadReadout(numbers, view);
  drawOverlayControls(controls, view);
  drawFooter(footer, view, keys.toggle);
  bindKeys(view, { help: keys.toggle, escape: () => keys.close() || leave() });
  return {
    drawn: view.drawn.get(),
    problem: attention.problem,
    savePng: () => savePng(view),
  };
}
