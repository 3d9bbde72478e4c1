// One line of exact numbers: what the query gives to the cell under the pointer.

import type { AttentionTraits } from "../lib/attention";
import { type Readout, readout, sentence } from "../lib/readout";
import { announcer } from "./announce";
import { el, setText } from "./dom";
import type { AttentionView } from "./view";

export function drawReadout<S extends AttentionTraits>(
  element: HTMLElement,
  view: AttentionView<S>,
): void {
  const { attention, pointed, signal } = view;
  const parts = {
    layer: el("b"),
    heads: el("b"),
    query: el("b"),
    arrow: el("span", "vw-muted"),
    target: el("b"),
    value: el("b", "vw-number"),
    more: el("span", "vw-muted"),
  };
  const headWord = el("span", "vw-muted", {}, "head ");
  const spoken = announcer(signal);
  element.classList.add("vw-readout");
  element.append(
    el("span", "", {}, el("span", "vw-muted", {}, "layer "), parts.layer),
    el("span", "", {}, headWord, parts.heads),
    el("span", "vw-readout-value", {}, parts.query, parts.arrow, parts.target, parts.value),
    parts.more,
    spoken.element,
  );

  function draw(): void {
    const read = readout(attention, pointed.get());
    element.hidden = read === null;
    if (!read) return;
    for (const [key, node] of Object.entries(parts)) setText(node, read[key as keyof Readout]);
    parts.arrow.hidden = read.target === "";
    setText(headWord, read.more.includes("mean of heads") ? "heads " : "head ");
    spoken.say(sentence(read));
  }
  view.paintRow(draw);
  pointed.on(() => view.paint(draw));
}
