import { defineWidget } from "../binding";
import { el } from "../components/dom";
import { colourBar } from "../components/head_readout";
import { bindKeys } from "../components/keys";
import { drawOverlayControls } from "../components/overlay_controls";
import { drawPatchOverlay } from "../components/patch_overlay";
import { drawReadout } from "../components/readout";
import {
  drawBlankAttention,
  drawNotice,
  drawProgress,
  waitingForAttention,
} from "../components/status";
import { withAttention } from "../components/view";
import { meanHeat } from "../lib/heat";
import { hasRow } from "../lib/packet";
import { patchOverlayDefaults } from "../lib/state";

export default defineWidget("attention on the image", patchOverlayDefaults, (plain) => {
  const view = withAttention(plain);
  const { attention, store } = view;
  const [overlay, blank, notice, progress] = [el("div"), el("div"), el("div"), el("div")];
  const [read, controls] = [el("div"), el("div")];
  const bar = colourBar();
  const body = el("div", "vw-alone", {}, overlay, read, bar.element, controls);
  view.root.append(notice, blank, body, progress);
  drawPatchOverlay(overlay, view);
  drawReadout(read, view);
  drawOverlayControls(controls, view);
  drawBlankAttention(blank, view, body);
  const drawProblem = drawNotice(notice, view, attention.problem);
  attention.on(() => view.paint(drawProblem));
  drawProgress(progress, view, waitingForAttention(view));
  function drawBar(): void {
    const shown = attention.shown();
    bar.element.hidden = !shown?.layer || !hasRow(shown.layer, shown.picture.row);
    if (!shown?.layer) return;
    const { maximum } = meanHeat(shown.layer, shown.picture.row, shown.heads);
    bar.draw(shown.layer, store.get("colormap"), maximum);
  }
  view.paintRow(drawBar);
  view.paintOn(["colormap"], drawBar);
  bindKeys(view);
});
