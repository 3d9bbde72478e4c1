// Which layer and which neuron: a slider, a number box, the next one, any one, and a bookmark.
import { grouped } from "../lib/format";
import {
  chooseNeuron,
  isMarked,
  layerCount,
  neuronCount,
  SELECTION,
  selectionOf,
  toggleMark,
} from "../lib/neuron";
import type { LayerSliderState, NeuronPageState } from "../lib/state";
import type { Store } from "../lib/store";
import { attribute, el, listen, setText } from "./dom";
import { drawLayerSlider } from "./layer_slider";
import type { View } from "./view";

export function drawNeuronChoice(element: HTMLElement, view: View<NeuronPageState>): void {
  const { store, signal } = view;
  const slider = el("div");
  const box = el("input", "vw-number-box", {
    type: "number",
    min: 0,
    step: 1,
    "aria-label": "neuron",
  });
  const of = el("span", "vw-muted");
  const steps = el("div", "vw-neuron-steps");
  element.classList.add("vw-neuron-choice");
  element.append(
    slider,
    el("div", "vw-neuron-number", {}, el("label", "vw-title", {}, "Neuron ", box), of, steps),
  );
  drawLayerSlider(slider, { ...view, store: layersOf(store) } as unknown as View<LayerSliderState>);

  function action(text: string, about: string, run: () => void): HTMLButtonElement {
    const button = el("button", "vw-action", { type: "button", title: about }, text);
    listen(button, "click", run, signal);
    steps.append(button);
    return button;
  }
  const previous = action("‹ prev", "the neuron before (←)", () => stepNeuron(view, -1));
  const next = action("next ›", "the next neuron (→)", () => stepNeuron(view, 1));
  const random = action("random", "any neuron of this layer (r)", () => randomNeuron(view));
  const mark = action("bookmark", "keep this neuron in the list (b)", () => markNeuron(view));
  const atlas = action("all neurons", "every neuron of this layer (a)", () =>
    store.set("atlas_open", !store.get("atlas_open")),
  );
  attribute(atlas, { "aria-expanded": "false" });

  listen(
    box,
    "change",
    () => {
      const typed = Number(box.value);
      if (box.value.trim() !== "" && Number.isFinite(typed)) chooseNeuron(store, typed);
      draw(); // what cannot be chosen does not stay in the box
    },
    signal,
  );

  function draw(): void {
    const count = neuronCount(store);
    const { layer, neuron } = selectionOf(store);
    box.max = String(Math.max(0, count - 1));
    box.disabled = count === 0;
    if (box.value !== String(neuron)) box.value = String(neuron);
    setText(of, count > 0 ? `of ${grouped(count)}` : "this layer has no hidden neurons");
    previous.disabled = neuron <= 0;
    next.disabled = neuron >= count - 1;
    random.disabled = count < 2;
    mark.disabled = count === 0;
    const marked = isMarked(store.get("bookmarks"), layer, neuron);
    setText(mark, marked ? "bookmarked" : "bookmark");
    attribute(mark, { "aria-pressed": String(marked) });
    const open = store.get("atlas_open");
    setText(atlas, open ? "close atlas" : "all neurons");
    attribute(atlas, { "aria-expanded": String(open) });
  }
  view.paintOn([...SELECTION, "bookmarks", "atlas_open"], draw);
}

export function stepNeuron({ store }: View<NeuronPageState>, by: number): void {
  const { layer, neuron } = selectionOf(store);
  chooseNeuron(store, neuron + by, layer);
}

export function randomNeuron({ store }: View<NeuronPageState>): void {
  const { layer, neuron } = selectionOf(store);
  const count = neuronCount(store);
  if (count < 2) return;
  // another one than this
  const other = Math.floor(Math.random() * (count - 1));
  chooseNeuron(store, other < neuron ? other : other + 1, layer);
}

export function markNeuron({ store }: View<NeuronPageState>): void {
  const { layer, neuron } = selectionOf(store);
  if (layer >= 0) store.set("bookmarks", toggleMark(store.get("bookmarks"), layer, neuron));
}

/** What the layer slider reads: the layers by their neurons' names, and no curve. */
function layersOf(
  store: Store<NeuronPageState>,
): Pick<Store<LayerSliderState>, "get" | "on"> & Pick<Store<NeuronPageState>, "set" | "update"> {
  const labels = (): string[] => {
    const [names, of] = [store.get("neuron_labels"), store.get("neuron_of_layer")];
    return Array.from({ length: layerCount(store) }, (_, layer) => {
      const at = of.length > 0 ? of[layer] : layer;
      return at < 0 ? "no hidden neurons" : (names[at] ?? "");
    });
  };
  const own = (key: keyof LayerSliderState): unknown => {
    if (key === "layer_labels") return labels();
    if (key === "layer_values") return {};
    if (key === "layer_caption") return "";
    if (key === "playing") return false;
    return store.get(key);
  };
  return {
    get: (key) => own(key) as never,
    set: (key, value) => store.set(key, value),
    update: ({ layer }) => layer !== undefined && store.set("layer", layer),
    on(key, changed, signal) {
      if (key === "layer_labels") {
        for (const one of ["neuron_labels", "neuron_counts", "neuron_of_layer"] as const)
          store.on(one, changed, signal);
      } else if (key !== "layer_values" && key !== "layer_caption" && key !== "playing")
        store.on(key, changed, signal);
    },
  };
}
