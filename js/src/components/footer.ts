// The selection in exact numbers, what Python is doing, and the keys.
import type { InspectorState } from "../lib/state";
import { el, listen } from "./dom";
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
  const keys = el("div", "vw-key-hints", { "aria-hidden": "true" });
  for (const [key, meaning] of [
    ["← →", "head"],
    ["↑ ↓", "layer"],
    ["space", "pin"],
  ])
    keys.append(el("span", "", {}, el("b", "", {}, key), ` ${meaning}`));
  const more = el("button", "vw-action", { type: "button", title: "all keys" }, "? keys");
  listen(more, "click", help, view.signal);
  element.classList.add("vw-footer");
  element.append(read, progress, keys, more);
  drawReadout(read, view);
  drawProgress(progress, view, waitingForAttention(view));
}
