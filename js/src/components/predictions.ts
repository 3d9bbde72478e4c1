// What the model says the image is.
import { probability } from "../lib/format";
import type { InspectorState } from "../lib/state";
import { attribute, el, setText } from "./dom";
import type { View } from "./view";

export function drawPredictions(element: HTMLElement, view: View<InspectorState>): void {
  const list = el("ul", "vw-predictions");
  const note = el("p", "vw-note");
  element.classList.add("vw-section");
  element.append(el("div", "vw-bar", {}, el("span", "vw-title", {}, "Prediction")), list, note);
  view.paintOn(["predictions", "predictions_note"], () => {
    const predictions = view.store.get("predictions");
    setText(note, view.store.get("predictions_note"));
    note.hidden = note.textContent === "";
    element.hidden = predictions.length === 0 && note.hidden;
    list.replaceChildren(
      ...predictions.map(({ label, probability: part }) => {
        const fill = el("span", "vw-meter-fill");
        fill.style.width = `${100 * Math.min(1, Math.max(0, part))}%`;
        const name = el("span", "vw-ellipsis", {}, label);
        attribute(name, { title: label });
        return el(
          "li",
          "vw-prediction",
          {},
          el("span", "vw-row", {}, name, el("span", "vw-number", {}, probability(part))),
          el("span", "vw-meter", { "aria-hidden": "true" }, fill),
        );
      }),
    );
  });
}
