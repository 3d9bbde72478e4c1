// What the model says the image is.
import { probability } from "../lib/format";
import type { InspectorState } from "../lib/state";
import { el, setNote } from "./dom";
import { meters } from "./meters";
import type { View } from "./view";

export function drawPredictions(element: HTMLElement, view: View<InspectorState>): void {
  const list = el("ul", "vw-meters vw-predictions");
  const note = el("p", "vw-note");
  element.classList.add("vw-section");
  element.append(el("div", "vw-bar", {}, el("span", "vw-title", {}, "Prediction")), list, note);
  view.paintOn(["predictions", "predictions_note"], () => {
    const predictions = view.store.get("predictions");
    setNote(note, view.store.get("predictions_note"));
    element.hidden = predictions.length === 0 && note.hidden;
    list.replaceChildren(
      ...meters(
        predictions.map(({ label, probability: part }) => ({
          name: label,
          number: probability(part),
          part,
        })),
      ),
    );
  });
}
