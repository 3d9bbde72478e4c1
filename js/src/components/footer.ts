// The selection in exact numbers, what Python is doing, and the keys.
import type { InspectorState } from "../lib/state";
import { el } from "./dom";
import { keyHints } from "./keys";
import { drawReadout } from "./readout";
import { drawProgress, waitingForAttention } from "./status";
import type { AttentionView } from "./view";

export function drawFooter(
  element: HTMLElement,
  view: AttentionView<InspectorState>,
  help: () => void,
): void {
  const read = el("div");
  const progress = el("div");
  const hints = keyHints(
    [
      ["← →", "head"],
      ["↑ ↓", "layer"],
      ["space", "pin"],
    ],
    help,
    view.signal,
  );
  element.classList.add("vw-footer");
  element.append(read, progress, ...hints);
  drawReadout(read, view);
  drawProgress(progress, view, waitingForAttention(view));
}
