// The neuron, the image and the activation at a patch, in words and exact numbers.
import { activation, capital, grouped } from "../lib/format";
import { SELECTION, selectionOf, standingOf } from "../lib/neuron";
import type { NeuronPageState } from "../lib/state";
import { announcer } from "./announce";
import { el, setText } from "./dom";
import { keyHints } from "./keys";
import { type NeuronImage, valueAt } from "./neuron_image";
import { neuronWaiting } from "./neuron_waiting";
import { drawProgress } from "./status";
import type { View } from "./view";

export function drawNeuronFooter(
  element: HTMLElement,
  view: View<NeuronPageState>,
  image: NeuronImage,
  help: () => void,
): void {
  const { store, signal } = view;
  const parts = { layer: el("b"), neuron: el("b"), image: el("b"), patch: el("b") };
  const value = el("b", "vw-number");
  const spoken = announcer(signal);
  const word = (text: string) => el("span", "vw-muted", {}, text);
  const picture = el("span", "", {}, word("image "), parts.image);
  const place = el("span", "vw-readout-value", {}, parts.patch, value);
  const read = el(
    "div",
    "vw-readout",
    {},
    el("span", "", {}, word("layer "), parts.layer),
    el("span", "", {}, word("neuron "), parts.neuron),
    picture,
    place,
    spoken.element,
  );
  const progress = el("div");
  const hints = keyHints(
    [
      ["← →", "neuron"],
      ["↑ ↓", "layer"],
      ["b", "bookmark"],
    ],
    help,
    signal,
  );
  element.classList.add("vw-footer");
  element.append(read, progress, ...hints);
  drawProgress(progress, view, neuronWaiting(view));

  function draw(): void {
    const { layer, neuron, image_index } = selectionOf(store);
    const name = store.get("image_names")[image_index] || store.get("image_name");
    const shown = standingOf(store, "neuron_map") === "current" ? image.map() : null;
    const pointed = image.pointed.get();
    const at = shown && (pointed ?? image.asked());
    setText(parts.layer, layer < 0 ? "without neurons" : String(layer));
    setText(parts.neuron, grouped(neuron));
    setText(parts.image, name);
    picture.hidden = name === "";
    place.hidden = shown === null;
    if (shown) {
      const token = pointed ? null : image.queryName();
      const prefix = shown.answer.prefix[token?.replace(/ token$/, "") ?? ""];
      const number = at ? activation(valueAt(shown, at)) : activation(prefix);
      setText(parts.patch, at ? `patch (${at.row}, ${at.col}):` : `${token}:`);
      setText(value, number);
    }
    const words = [
      `layer ${layer}`,
      `neuron ${neuron}`,
      name && `image ${name}`,
      shown && `${parts.patch.textContent} ${value.textContent}`,
    ];
    spoken.say(capital(words.filter(Boolean).join(", ")));
  }
  view.paintOn([...SELECTION, "neuron_map", "image_names", "image_name"], draw);
  image.pointed.on(() => view.paint(draw));
}
