import { expect, test } from "vitest";
import {
  chooseNeuron,
  isMarked,
  layerCount,
  matching,
  neuronCount,
  selectionOf,
  standingOf,
  toggleMark,
} from "../src/lib/neuron";
import { type NeuronPageState, neuronPageDefaults } from "../src/lib/state";
import { memoryStore } from "../src/lib/store";

function page(values: Partial<NeuronPageState>) {
  return memoryStore<NeuronPageState>({ ...neuronPageDefaults, ...values });
}

// Breaks when a neuron that the layer does not have is looked for.
test("the selection is moved to the nearest neuron that exists", () => {
  const store = page({ neuron_counts: [4, 6], layer: 1, neuron: 9 });
  expect(selectionOf(store)).toMatchObject({ layer: 1, neuron: 5 });
  store.set("layer", 7);
  expect(selectionOf(store)).toMatchObject({ layer: 1, neuron: 5 });
});

// Breaks when an attention layer of the Inspector is taken for a layer of neurons.
test("layers may count something else than neurons do", () => {
  const store = page({ neuron_counts: [4, 6], neuron_of_layer: [0, 0, 1, -1], layer: 2 });
  expect(layerCount(store)).toBe(4);
  expect([selectionOf(store).layer, neuronCount(store)]).toEqual([1, 6]);
  chooseNeuron(store, 3, 0); // a bookmark of the other layer
  expect([store.get("layer"), store.get("neuron")]).toEqual([0, 3]);
  store.set("layer", 1);
  chooseNeuron(store, 2, 0); // this layer answers as well: it stays
  expect([store.get("layer"), store.get("neuron")]).toEqual([1, 2]);
  store.set("layer", 3);
  expect([selectionOf(store).layer, neuronCount(store)]).toEqual([-1, 0]);
  chooseNeuron(store, 1);
  expect([store.get("layer"), store.get("neuron")]).toEqual([3, 2]);
});

// Breaks when an answer to an earlier question passes for this one's, or is thrown away.
test("an answer is of what is selected, of something else, or not there", () => {
  const store = page({ neuron_counts: [4, 6], layer: 1, neuron: 2, image_index: 3 });
  expect(standingOf(store, "neuron_map")).toBe("none");
  const map = { layer: 1, neuron: 2, image_index: 3, values: {}, box: [0, 0, 1, 1] };
  store.set("neuron_map", { ...map, prefix: {}, reference: {}, note: "" } as never);
  expect(standingOf(store, "neuron_map")).toBe("current");
  store.set("image_index", 4);
  expect(standingOf(store, "neuron_map")).toBe("stale");
  store.set("alike", { layer: 1, neuron: 2, neurons: [], note: "" });
  expect(standingOf(store, "alike")).toBe("current"); // it belongs to no image
  store.set("neuron", 3);
  expect(standingOf(store, "alike")).toBe("stale");
});

// Breaks when a bookmark is kept twice, or another one is taken away.
test("a bookmark is added, and taken away again", () => {
  const marks = toggleMark([[0, 3]], 1, 3);
  expect(marks).toEqual([
    [0, 3],
    [1, 3],
  ]);
  expect(isMarked(marks, 1, 3)).toBe(true);
  expect(toggleMark(marks, 0, 3)).toEqual([[1, 3]]);
});

// Breaks when a class cannot be found by what it is called, or a thousand are offered.
test("names that begin with what is typed come first", () => {
  const names = ["polecat", "dog", "cat", "Cathedral", "catfish"];
  expect(matching(names, "cat", 3)).toEqual([2, 3, 4]);
  expect(matching(names, " CAT ", 9)).toEqual([2, 3, 4, 0]);
  expect(matching(names, "", 2)).toEqual([0, 1]);
  expect(matching(names, "bird", 9)).toEqual([]);
});
