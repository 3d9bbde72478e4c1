// The keys of the neuron page, for as long as the focus is inside it.
import { clampIndex } from "../lib/geometry";
import { layerCount } from "../lib/neuron";
import type { NeuronPageState } from "../lib/state";
import { onKeys } from "./keys";
import { markNeuron, randomNeuron, stepNeuron } from "./neuron_choice";
import type { View } from "./view";

export const NEURON_KEYS: readonly [keys: string, meaning: string][] = [
  ["← →", "neuron"],
  ["↑ ↓", "layer"],
  ["r", "any neuron of the layer"],
  ["b", "bookmark"],
  ["a", "all neurons of the layer"],
  ["arrows on the image", "the patch that is asked about"],
  ["[ ]", "image"],
  ["?", "this list"],
];

/** `help` on "?", `escape` on Escape; true: handled. */
export function bindNeuronKeys(
  view: View<NeuronPageState>,
  own: { escape(): boolean; help(): boolean },
): void {
  const { store } = view;

  function moveLayer(by: number): void {
    const count = layerCount(store);
    store.set("layer", clampIndex(clampIndex(store.get("layer"), count) + by, count));
  }
  function moveImage(by: number): boolean {
    const count = store.get("image_names").length;
    if (count < 2) return false;
    store.set("image_index", clampIndex(store.get("image_index") + by, count));
    return true;
  }
  const done = (_: unknown) => true;

  function run(key: string, control: boolean): boolean {
    switch (key) {
      case "[":
        return moveImage(-1);
      case "]":
        return moveImage(1);
      case "?":
        return own.help();
      case "b":
        return done(markNeuron(view));
      case "r":
        return done(randomNeuron(view));
      case "a":
        return done(store.set("atlas_open", !store.get("atlas_open")));
      case "Escape":
        if (own.escape()) return true;
        if (!store.get("atlas_open")) return false;
        return done(store.set("atlas_open", false));
    }
    if (control) return false; // sliders and choices have arrows of their own
    switch (key) {
      case "ArrowLeft":
        return done(stepNeuron(view, -1));
      case "ArrowRight":
        return done(stepNeuron(view, 1));
      case "ArrowUp":
        return done(moveLayer(-1));
      case "ArrowDown":
        return done(moveLayer(1));
    }
    return false;
  }

  onKeys(view, run);
}
