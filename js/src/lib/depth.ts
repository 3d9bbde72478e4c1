// What a page about norms and layers has beside a layer and a picture (Python's half:
// widgets/token_depth.py), and what it is drawn from.
import type { Heat } from "./heat";
import type { None } from "./neuron";
import { isPacked, LAST_CODE, type MaybePacked, NO_VALUE, unpack } from "./wire";

export type DepthView = "norms" | "attention" | "object";

export type DepthNorms = {
  image_index: number;
  values: MaybePacked;
  /** Of each block: prefix tokens, rows, cols; rows 0 where the places are not known. */
  shapes: [prefix: number, rows: number, cols: number][];
  prefix: string[][];
  thresholds: (number | null)[];
  blocks: string[];
  /** The block that each layer of the page shows. */
  layers: (number | null)[];
  embedded: number | null;
  norms: { path: string; block: number; before: number | null; after: number | null }[];
  note: string;
};

export type DepthCurves = {
  image_index: number;
  curves: Record<string, (number | null)[]>;
  class_is: string;
  note: string;
};

export type DepthCka = { image_index: number; values: MaybePacked; samples: number; note: string };

export type DepthAttention = {
  layer: number;
  query: number;
  image_index: number;
  values: MaybePacked;
  prefix: number | null;
  note: string;
};

export type DepthPrefix = {
  layer: number;
  image_index: number;
  names: string[];
  values: MaybePacked;
  prefix: (number | null)[];
  note: string;
};

export type DepthObject = {
  layer: number;
  image_index: number;
  /** Whether patches were left out, and from which norm on: null for what each layer has. */
  without: boolean;
  threshold: number | null;
  /** The eigenvector of the cut, NaN at what was left out. */
  values: MaybePacked;
  mask: MaybePacked;
  left_out: number;
  note: string;
};

export type DepthTraits = {
  depth_view: DepthView;
  depth_threshold: number | null;
  depth_without: boolean;
  depth_beside: number | null;
  depth_norms: DepthNorms | None;
  depth_curves: DepthCurves | None;
  depth_cka: DepthCka | None;
  depth_attention: DepthAttention | None;
  depth_prefix: DepthPrefix | None;
  depth_object: DepthObject | None;
};

export const depthTraits: DepthTraits = {
  depth_view: "norms",
  depth_threshold: null,
  depth_without: false,
  depth_beside: null,
  depth_norms: {},
  depth_curves: {},
  depth_cka: {},
  depth_attention: {},
  depth_prefix: {},
  depth_object: {},
};

/** Whether an object answers these settings; where nothing is left out, any threshold is its own. */
export function cutAs(
  found: Pick<DepthObject, "without" | "threshold">,
  without: boolean,
  threshold: number | null,
): boolean {
  return found.without === without && (!without || found.threshold === threshold);
}

/** Norms of one block. */
export interface BlockNorms {
  names: readonly string[];
  prefix: Float32Array;
  patches: Float32Array;
  rows: number;
  cols: number;
  /** From which norm on a patch stands out; infinity: none does. */
  threshold: number;
  median: number;
  maximum: number;
}

/** The norms block by block; `threshold` takes the place of what each has. */
export function blocksOf(norms: DepthNorms, threshold: number | null): BlockNorms[] {
  if (!isPacked(norms.values)) return [];
  const all = Float32Array.from(unpack(norms.values).codes);
  let start = 0;
  return norms.shapes.map(([prefix, rows, cols], block) => {
    const patches = all.subarray(start + prefix, start + prefix + Math.max(1, rows) * cols);
    const own = all.subarray(start, start + prefix);
    start += prefix + patches.length;
    const sorted = patches.filter(Number.isFinite).sort();
    const limit = threshold ?? norms.thresholds[block];
    return {
      names: norms.prefix[block] ?? [],
      prefix: own,
      patches,
      rows,
      cols,
      threshold: limit ?? Number.POSITIVE_INFINITY,
      median: middle(sorted),
      maximum: sorted.at(-1) ?? Number.NaN,
    };
  });
}

function middle(sorted: ArrayLike<number>): number {
  const half = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Which patches stand out: 1 or 0. */
export function standing({ patches, threshold }: BlockNorms): Uint8Array {
  return Uint8Array.from(patches, (norm) => Number(norm > threshold));
}

export const countOf = (set: Uint8Array): number => set.reduce((sum, one) => sum + one, 0);

/** A range of norms on a logarithmic scale: from a place 0..1 to a norm, and back. */
export interface NormScale {
  low: number;
  high: number;
  norm(place: number): number;
  place(norm: number): number;
}

/** Holds all norms above 0, and the threshold where that is not far beyond them. */
export function normScale({ patches }: BlockNorms, threshold: number): NormScale | null {
  const known = patches.filter((norm) => Number.isFinite(norm) && norm > 0);
  if (known.length === 0) return null;
  const low = Math.min(...known) * 0.97;
  const most = Math.max(...known);
  const high = Math.max(most, Math.min(threshold, 3 * most)) * 1.05;
  const width = Math.log(high / low);
  return {
    low,
    high,
    norm: (place) => low * Math.exp(place * width),
    place: (norm) => (norm > 0 ? Math.max(0, Math.min(1, Math.log(norm / low) / width)) : 0),
  };
}

/** How many norms fall in each of some bins of the scale. */
export function histogram(patches: ArrayLike<number>, scale: NormScale, bins: number): number[] {
  const counts = new Array<number>(bins).fill(0);
  for (let i = 0; i < patches.length; i++)
    if (patches[i] > 0 && Number.isFinite(patches[i]))
      counts[Math.min(bins - 1, Math.floor(scale.place(patches[i]) * bins))] += 1;
  return counts;
}

/** Values from the smallest to the largest; NaN has no colour. */
export function rangeHeat(values: ArrayLike<number>, rows: number, cols: number): Heat {
  const known = Array.from(values).filter(Number.isFinite);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const levels = Uint8Array.from(values, (value) => {
    if (!Number.isFinite(value)) return NO_VALUE;
    return high > low ? Math.round(((value - low) / (high - low)) * LAST_CODE) : 0;
  });
  return { rows, cols, levels, maximum: known.length ? high : 0, signed: false };
}

/** Weights from 0 to the largest, on the square-root scale of all attention; NaN has no colour. */
export function weightHeat(values: ArrayLike<number>, rows: number, cols: number): Heat {
  const maximum = Math.max(0, ...Array.from(values).filter(Number.isFinite));
  const levels = Uint8Array.from(values, (value) => {
    if (!Number.isFinite(value)) return NO_VALUE;
    return maximum > 0 ? Math.round(Math.sqrt(Math.max(0, value) / maximum) * LAST_CODE) : 0;
  });
  return { rows, cols, levels, maximum, signed: false };
}

/**
 * Leaves patches out of a row of attention and shares their weight among what remains, the prefix
 * tokens included (Python: probes.leave_out). NaN at what was left out.
 */
export function leaveOut(
  weights: ArrayLike<number>,
  set: ArrayLike<number>,
  prefix: number,
): Float32Array {
  let [whole, left] = [prefix, prefix];
  for (let i = 0; i < weights.length; i++) {
    if (Number.isNaN(weights[i])) continue;
    whole += weights[i];
    if (!set[i]) left += weights[i];
  }
  const share = left > 0 ? whole / left : Number.NaN;
  return Float32Array.from(weights, (weight, i) => (set[i] ? Number.NaN : weight * share));
}

/** One line of a curve: its name, a number or nothing for each block. */
export interface Line {
  name: string;
  values: readonly (number | null)[];
}

export interface Plot {
  title: string;
  lines: Line[];
  /** On a logarithmic scale. */
  logarithmic: boolean;
}

/** The curves over depth, from what came so far. */
export function plotsOf(blocks: readonly BlockNorms[], about: DepthCurves | null): Plot[] {
  const plots: Plot[] = [];
  if (blocks.length)
    plots.push(
      {
        title: "norm of patches",
        logarithmic: true,
        lines: [
          { name: "largest", values: blocks.map((one) => one.maximum) },
          { name: "median", values: blocks.map((one) => one.median) },
          { name: "threshold", values: blocks.map((one) => one.threshold) },
        ],
      },
      {
        title: "patches that stand out",
        logarithmic: false,
        lines: [{ name: "patches", values: blocks.map((one) => countOf(standing(one))) }],
      },
    );
  const curves = about?.curves ?? {};
  const has = (name: string) => curves[name]?.some((value) => value !== null) ?? false;
  for (const [kind, title] of [
    ["within", "variance within a token"],
    ["among", "variance among tokens"],
  ]) {
    const lines = [
      { name: "block output", values: curves[kind] },
      { name: "before norm", values: curves[`before ${kind}`] },
      { name: "after norm", values: curves[`after ${kind}`] },
    ].filter((line) => line.values?.some((value) => value !== null));
    if (lines.length) plots.push({ title, logarithmic: true, lines });
  }
  if (has("class"))
    plots.push({
      title: `cosine of patches to the ${about?.class_is.replace(/^class/, "class token")}`,
      logarithmic: false,
      lines: [
        { name: "upper quartile", values: curves["class high"] },
        { name: "mean", values: curves.class },
        { name: "lower quartile", values: curves["class low"] },
      ],
    });
  if (has("neighbours"))
    plots.push({
      title: "cosine to neighbouring patches",
      logarithmic: false,
      lines: [{ name: "mean", values: curves.neighbours }],
    });
  return plots;
}

/** Where the numbers of a plot lie, 0 at the bottom to 1 at the top; null for what has no place. */
export function heights({ lines, logarithmic }: Plot): (number | null)[][] {
  const scaled = lines.map(({ values }) =>
    values.map((value) => {
      if (value === null || !Number.isFinite(value) || (logarithmic && value <= 0)) return null;
      return logarithmic ? Math.log(value) : value;
    }),
  );
  const known = scaled.flat().filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  return scaled.map((line) =>
    line.map((value) => {
      if (value === null) return null;
      return high > low ? (value - low) / (high - low) : 0.5;
    }),
  );
}
