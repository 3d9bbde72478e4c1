// Which neuron is looked at, and whether what Python sent is about it (Python's half:
// widgets/neuron_page.py). A `layer` beside a `neuron` counts layers of neurons.
import { clampIndex } from "./geometry";
import type { RawAxis } from "./packet";
import type { Store } from "./store";
import type { MaybePacked } from "./wire";

export type None = Record<string, never>;

interface OfNeuron {
  layer: number;
  neuron: number;
}

export type NeuronMap = OfNeuron & {
  image_index: number;
  values: MaybePacked;
  /** Null: the tokens have no known place, and the values are no picture. */
  box: RawAxis["box"] | null;
  prefix: Record<string, number | null>;
  reference: RawAxis | None;
  note: string;
};

export type TopImages = OfNeuron & {
  images: MaybePacked;
  maps: MaybePacked;
  scores: (number | null)[];
  names: string[];
  labels: string[];
  box: RawAxis["box"];
  note: string;
};

export type Distribution = OfNeuron & {
  edges: number[];
  counts: number[];
  sampled: number;
  total: number;
  shown: (number | null)[];
  caption: string;
};

export type ClassCounts = OfNeuron & {
  k: number;
  classes: { label: string; count: number }[];
  entropy: number | null;
};

export interface Effect {
  what: "silenced" | "doubled";
  classes: { label: string; before: number; after: number }[];
  top_before: string;
  top_after: string;
}

export type Effects = OfNeuron & { image_index: number; rows: Effect[]; note: string };

export type Alike = OfNeuron & { neurons: { neuron: number; r: number }[]; note: string };

export type PatchNeurons = {
  layer: number;
  query: number;
  image_index: number;
  neurons: { neuron: number; value: number }[];
  note: string;
};

export type ClassNeurons = {
  layer: number;
  target: number;
  label: string;
  neurons: { neuron: number; value: number }[];
  measure: string;
};

export type Specific = {
  layer: number;
  neurons: { neuron: number; overlap: number; entropy: number | null }[];
  measure: string;
};

export type AtlasRange = { layer: number; first: number; count: number };

export type AtlasCells = {
  layer: number;
  first: number;
  images: MaybePacked;
  captions: string[];
  note: string;
};

/** The answers, by their traits. */
export type Answers = {
  neuron_map: NeuronMap;
  top_images: TopImages;
  distribution: Distribution;
  class_counts: ClassCounts;
  effects: Effects;
  alike: Alike;
  patch_neurons: PatchNeurons;
  class_neurons: ClassNeurons;
  specific: Specific;
};

export type AnswerKey = keyof Answers;

export type AnswerTraits = { [K in AnswerKey]: Answers[K] | None };

/** What of the selection each answer is about. */
export const ABOUT: { [K in AnswerKey]: readonly (keyof Selection & keyof Answers[K])[] } = {
  neuron_map: ["layer", "neuron", "image_index"],
  top_images: ["layer", "neuron"],
  distribution: ["layer", "neuron"],
  class_counts: ["layer", "neuron"],
  effects: ["layer", "neuron", "image_index"],
  alike: ["layer", "neuron"],
  patch_neurons: ["layer", "query", "image_index"],
  class_neurons: ["layer", "target"],
  specific: ["layer"],
};

export type SelectionTraits = {
  layer: number;
  neuron: number;
  query: number;
  image_index: number;
  target: number;
  neuron_counts: number[];
  neuron_of_layer: number[];
};

export const SELECTION = [
  "layer",
  "neuron",
  "query",
  "image_index",
  "target",
  "neuron_counts",
  "neuron_of_layer",
] as const satisfies readonly (keyof SelectionTraits)[];

/** The selection, moved to the nearest that exists; its layer counts layers of neurons. */
export interface Selection {
  /** -1 where the layer in view has no neurons. */
  layer: number;
  neuron: number;
  query: number;
  image_index: number;
  target: number;
}

export function selectionOf(store: Store<SelectionTraits>): Selection {
  const layer = neuronLayer(store);
  return {
    layer,
    neuron: clampIndex(store.get("neuron"), store.get("neuron_counts")[layer] ?? 0),
    query: store.get("query"),
    image_index: store.get("image_index"),
    target: store.get("target"),
  };
}

/** How many values `layer` has. */
export function layerCount(store: Store<SelectionTraits>): number {
  return store.get("neuron_of_layer").length || store.get("neuron_counts").length;
}

function neuronLayer(store: Store<SelectionTraits>): number {
  const of = store.get("neuron_of_layer");
  const layer = clampIndex(store.get("layer"), layerCount(store));
  return of.length > 0 ? of[layer] : layer;
}

/** How many neurons the layer in view has. */
export function neuronCount(store: Store<SelectionTraits>): number {
  return store.get("neuron_counts")[neuronLayer(store)] ?? 0;
}

/** Selects a neuron of a layer of neurons; nothing happens where the page has no such layer. */
export function chooseNeuron(
  store: Store<SelectionTraits>,
  neuron: number,
  layer = neuronLayer(store),
): void {
  const of = store.get("neuron_of_layer");
  const now = store.get("layer");
  const at = of.length === 0 ? layer : of[now] === layer ? now : of.indexOf(layer);
  const count = store.get("neuron_counts")[layer];
  if (at >= 0 && count) store.update({ layer: at, neuron: clampIndex(neuron, count) });
}

export type Standing = "none" | "stale" | "current";

/** Whether an answer is there, and about what is selected. */
export function standingOf<K extends AnswerKey>(
  store: Store<AnswerTraits & SelectionTraits>,
  key: K,
): Standing {
  const answer = store.get(key) as Partial<Selection>;
  const selection = selectionOf(store as unknown as Store<SelectionTraits>);
  if (Object.keys(answer).length === 0) return "none";
  return ABOUT[key].every((of) => answer[of] === selection[of]) ? "current" : "stale";
}

export type Bookmark = readonly number[];

export function isMarked(marks: readonly Bookmark[], layer: number, neuron: number): boolean {
  return marks.some(([l, n]) => l === layer && n === neuron);
}

/** Adds a neuron to the bookmarks or takes it away. */
export function toggleMark(marks: readonly Bookmark[], layer: number, neuron: number): number[][] {
  const without = marks.filter(([l, n]) => l !== layer || n !== neuron).map((mark) => [...mark]);
  return without.length < marks.length ? without : [...without, [layer, neuron]];
}

/** Names that contain what is typed, those that begin with it first; at most `most`. */
export function matching(names: readonly string[], typed: string, most: number): number[] {
  const sought = typed.trim().toLowerCase();
  const begins: number[] = [];
  const contains: number[] = [];
  names.forEach((name, i) => {
    const at = name.toLowerCase().indexOf(sought);
    if (at === 0) begins.push(i);
    else if (at > 0) contains.push(i);
  });
  return [...begins, ...contains].slice(0, most);
}
