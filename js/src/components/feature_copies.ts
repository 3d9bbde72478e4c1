// The augmented copies of the current step: what the model is shown in place of the picture.
import type { FeatureCanvasState } from "../lib/state";
import { isPacked, unpack } from "../lib/wire";
import { attribute, el, listen, setText } from "./dom";
import { paintRgb } from "./pixels";
import type { View } from "./view";

export function drawFeatureCopies(element: HTMLElement, view: View<FeatureCanvasState>): void {
  const { store } = view;
  const button = el("button", "vw-action vw-feature-copies-button", { type: "button" });
  const grid = el("div", "vw-feature-copies-grid", { role: "img" });
  const blank = el("p", "vw-note", {}, "They come with the next step.");
  element.classList.add("vw-feature-copies");
  element.append(button, grid, blank);
  listen(
    button,
    "click",
    () => store.set("feature_copies_shown", !store.get("feature_copies_shown")),
    view.signal,
  );
  let canvases: HTMLCanvasElement[] = [];

  view.paintOn(["feature_copies", "feature_copies_shown", "feature_state"], () => {
    const open = store.get("feature_copies_shown");
    const packed = store.get("feature_copies");
    const there = isPacked(packed);
    element.hidden = store.get("feature_state") === "empty" && !there;
    setText(button, open ? "Hide the augmented copies" : "Show the augmented copies");
    attribute(button, { "aria-expanded": String(open) });
    grid.hidden = !open || !there;
    blank.hidden = !open || there;
    if (grid.hidden || !isPacked(packed)) return;
    const { codes, shape } = unpack(packed);
    const [count, height, width] = shape;
    if (canvases.length !== count) {
      canvases = Array.from({ length: count }, () => el("canvas", "vw-feature-copy"));
      grid.replaceChildren(...canvases);
    }
    canvases.forEach((canvas, i) => {
      paintRgb(canvas, codes, width, height, i * height * width * 3);
    });
    attribute(grid, { "aria-label": `${count} augmented copies of the current step` });
  });
}
