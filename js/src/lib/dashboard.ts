// Numbers of all heads (Python's half: widgets/head_dashboard.py): which there are, what they are
// called, and where heads lie when two of them are drawn against each other.
import { colormap, colormapFor, parseHex, type Rgb } from "./colormap";
import type { Explained } from "./explained";
import { nats, percent, pixels, plain } from "./format";
import type { None } from "./neuron";
import type { RawAxis } from "./packet";
import { segmentColour } from "./patch_features";
import { isPacked, type MaybePacked, unpack } from "./wire";

export const STATISTICS = ["entropy", "distance", "self_mass", "prefix_mass", "mask_mass"] as const;
export const METRICS = ["probability", "logit", "distribution", "embedding", "accuracy"] as const;
export const IMPORTANCE = ["first_order", ...METRICS] as const;
export type Metric = (typeof METRICS)[number];
export type Comparable = (typeof STATISTICS)[number] | (typeof IMPORTANCE)[number];
export type HeadNumber = Comparable | "pattern";
export type HeadRun = "" | "exact" | "screen" | "curve";
export type Over = "this image" | "all images";
export type Order = "most" | "least";

/** A head: layer and head. */
export type Pair = readonly [layer: number, head: number];

export type HeadStatistics = {
  image_index: number;
  over: Over;
  values: MaybePacked;
  hops: MaybePacked;
  done: number;
  total: number;
  reasons: Partial<Record<HeadNumber, string>>;
};

export type HeadImportance = {
  image_index: number;
  over: Over;
  explained: Explained;
  words: string;
  values: MaybePacked;
  run: HeadRun;
  done: number;
  total: number;
  images: number;
  evaluations: number;
  forwards: number;
  agreement: number | null;
  reasons: Partial<Record<HeadNumber, string>>;
  note: string;
};

export type HeadCurve = {
  image_index: number;
  over: Over;
  explained: Explained;
  by: Comparable | "";
  /** (order, metric, step) */
  values: MaybePacked;
  counts: number[];
  order: number[][];
  done: number;
  total: number;
  images: number;
  note: string;
};

export type HeadPatterns = {
  image_index: number;
  k: number;
  of: number[][];
  places: MaybePacked;
  labels: number[];
  maps: MaybePacked;
  lost: number | null;
  note: string;
};

export type HeadMap = {
  layer: number;
  query: number;
  image_index: number;
  axis: RawAxis | None;
  values: MaybePacked;
  note: string;
};

export type DashboardTraits = {
  heads_number: HeadNumber;
  heads_across: Comparable;
  heads_up: Comparable;
  heads_over: Over;
  heads_labels: number[];
  heads_selected: number[][];
  heads_running: HeadRun;
  heads_first: Order;
  heads_removed: number;
  heads_left: Metric;
  heads_k: number;
  heads_statistics: HeadStatistics | None;
  heads_importance: HeadImportance | None;
  heads_curve: HeadCurve | None;
  heads_patterns: HeadPatterns | None;
  heads_map: HeadMap | None;
};

export const dashboardTraits: DashboardTraits = {
  heads_number: "entropy",
  heads_across: "distance",
  heads_up: "first_order",
  heads_over: "this image",
  heads_labels: [],
  heads_selected: [],
  heads_running: "",
  heads_first: "least",
  heads_removed: 0,
  heads_left: "probability",
  heads_k: 4,
  heads_statistics: {},
  heads_importance: {},
  heads_curve: {},
  heads_patterns: {},
  heads_map: {},
};

interface About {
  text: string;
  /** What it is, in a sentence. */
  says: string;
  words(value: number): string;
  signed: boolean;
}

const share = (value: number) => (Number.isNaN(value) ? "–" : percent(value));
const signed = (value: number) =>
  Number.isNaN(value) ? "–" : `${value > 0 ? "+" : ""}${plain(value)}`.replace("-", "−");

export const ABOUT: Record<HeadNumber, About> = {
  entropy: {
    text: "entropy",
    says: "How spread the attention of a token is, on average.",
    words: (value) => nats(value),
    signed: false,
  },
  distance: {
    text: "distance",
    says: "How far from its own patch a token attends, on average.",
    words: pixels,
    signed: false,
  },
  self_mass: {
    text: "on itself",
    says: "Share of its attention that a token pays itself.",
    words: share,
    signed: false,
  },
  prefix_mass: {
    text: "on prefix tokens",
    says: "Share of the attention that class and register tokens get.",
    words: share,
    signed: false,
  },
  mask_mass: {
    text: "on the object",
    says: "Share of the attention that the object gets.",
    words: share,
    signed: false,
  },
  first_order: {
    text: "first order",
    says: "By how much the score would fall without the head, if all else were linear.",
    words: signed,
    signed: true,
  },
  logit: {
    text: "exact: score",
    says: "By how much the score falls without the head.",
    words: signed,
    signed: true,
  },
  probability: {
    text: "exact: probability",
    says: "By how much the probability falls without the head.",
    words: signed,
    signed: true,
  },
  distribution: {
    text: "exact: distribution",
    says: "Jensen–Shannon divergence of the probabilities with and without the head, 0 to ln 2.",
    words: (value) => nats(value, 4),
    signed: false,
  },
  embedding: {
    text: "exact: embedding",
    says: "1 less the cosine of what the class layer is given, with and without the head.",
    words: plain,
    signed: false,
  },
  accuracy: {
    text: "exact: accuracy",
    says: "By how much the share of images with the right class falls without the head.",
    words: signed,
    signed: true,
  },
  pattern: {
    text: "pattern",
    says: "Clusters of heads whose attention maps look alike.",
    words: (value) => (Number.isNaN(value) ? "–" : `cluster ${value}`),
    signed: false,
  },
};

/** A number of every head; NaN where a layer has fewer, or where it is not known. */
export interface Grid {
  layers: number;
  heads: number;
  at(layer: number, head: number): number;
}

/** One plane of (number, layer, head). */
export function gridOf(packed: MaybePacked, number: number): Grid | null {
  if (!isPacked(packed)) return null;
  const { codes, shape } = unpack(packed);
  const [, layers, heads] = shape;
  const start = number * layers * heads;
  return { layers, heads, at: (layer, head) => codes[start + layer * heads + head] };
}

/** The clusters of the heads, over the heads that `like` has. */
export function patternGrid(patterns: HeadPatterns, { layers, heads }: Grid): Grid {
  const labels = new Float32Array(layers * heads).fill(Number.NaN);
  patterns.of.forEach(([layer, head], i) => {
    labels[layer * heads + head] = patterns.labels[i];
  });
  return { layers, heads, at: (layer, head) => labels[layer * heads + head] };
}

export interface Range {
  low: number;
  high: number;
}

/** From which value to which colours go; around zero where there are values of both signs. */
export function rangeOf(grid: Grid, number: HeadNumber): Range | null {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let layer = 0; layer < grid.layers; layer++)
    for (let head = 0; head < grid.heads; head++) {
      const value = grid.at(layer, head);
      if (value < low) low = value;
      if (value > high) high = value;
    }
  if (low > high) return null;
  if (!ABOUT[number].signed) return { low, high };
  const most = Math.max(Math.abs(low), Math.abs(high));
  return { low: -most, high: most };
}

/** The colour of a value; null for what has none. */
export function colourOf(
  value: number,
  number: HeadNumber,
  range: Range | null,
  chosen: string,
): Rgb | null {
  if (Number.isNaN(value) || !range) return null;
  if (number === "pattern") return segmentColour(value);
  const table = colormap(colormapFor(ABOUT[number], chosen));
  const { low, high } = range;
  const part = high > low ? (value - low) / (high - low) : 0.5;
  return parseHex(table[Math.round(part * (table.length - 1))]);
}

/** Heads as points, -1 to 1 and y up; only those that are known on both axes. */
export interface HeadPoints {
  heads: Pair[];
  x: Float32Array;
  y: Float32Array;
}

export function pointsOf(across: Grid, up: Grid): HeadPoints & { xs: Range; ys: Range } {
  const heads: Pair[] = [];
  const [xs, ys]: [number[], number[]] = [[], []];
  for (let layer = 0; layer < across.layers; layer++)
    for (let head = 0; head < across.heads; head++) {
      const [x, y] = [across.at(layer, head), up.at(layer, head)];
      if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
      heads.push([layer, head]);
      xs.push(x);
      ys.push(y);
    }
  const [x, xr] = spread(xs);
  const [y, yr] = spread(ys);
  return { heads, x, y, xs: xr, ys: yr };
}

/** Places of patterns, with the same scale along both axes. */
export function patternPoints(patterns: HeadPatterns): HeadPoints | null {
  if (!isPacked(patterns.places)) return null;
  const { codes } = unpack(patterns.places);
  const count = patterns.of.length;
  const axis = (k: number) => Array.from({ length: count }, (_, i) => codes[2 * i + k]);
  const ends = [axis(0), axis(1)].map((values) => ({
    low: Math.min(...values),
    high: Math.max(...values),
  }));
  const half = Math.max(...ends.map(({ low, high }) => (high - low) / 2)) || 1;
  const placed = (k: 0 | 1) =>
    Float32Array.from(axis(k), (value) => (value - (ends[k].low + ends[k].high) / 2) / half);
  return {
    heads: patterns.of.map(([layer, head]) => [layer, head] as const),
    x: placed(0),
    y: placed(1),
  };
}

function spread(values: readonly number[]): [Float32Array, Range] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const half = (high - low) / 2 || 1;
  return [Float32Array.from(values, (value) => (value - (low + high) / 2) / half), { low, high }];
}

export const samePair = (a: readonly number[], b: readonly number[]): boolean =>
  a[0] === b[0] && a[1] === b[1];

export const hasPair = (pairs: readonly (readonly number[])[], pair: Pair): boolean =>
  pairs.some((one) => samePair(one, pair));

/** Heads chosen now, alone or added to those before; in the order of layers and heads. */
export function chosenPairs(
  before: readonly (readonly number[])[],
  now: readonly Pair[],
  add: boolean,
): number[][] {
  const all = [...(add ? before : []), ...now].map(([layer, head]) => [layer, head]);
  const once = all.filter((pair, i) => all.findIndex((one) => samePair(one, pair)) === i);
  return once.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

/** Adds a head, or takes it away. */
export function togglePair(before: readonly (readonly number[])[], pair: Pair): number[][] {
  if (!hasPair(before, pair)) return chosenPairs(before, [pair], true);
  return before.filter((one) => !samePair(one, pair)).map(([layer, head]) => [layer, head]);
}

/** The heads of a rectangle of the matrix that are known. */
export function within(grid: Grid, from: Pair, to: Pair): Pair[] {
  const [top, bottom] = [Math.min(from[0], to[0]), Math.max(from[0], to[0])];
  const [left, right] = [Math.min(from[1], to[1]), Math.max(from[1], to[1])];
  const found: Pair[] = [];
  for (let layer = top; layer <= bottom; layer++)
    for (let head = left; head <= right; head++)
      if (!Number.isNaN(grid.at(layer, head))) found.push([layer, head]);
  return found;
}

/** What of a layer is chosen together: `head` and `heads` as all components have them. */
export function together(
  selected: readonly (readonly number[])[],
  layer: number,
  head: number,
): { head: number; heads: number[] } {
  const here = selected.filter(([of]) => of === layer).map(([, one]) => one);
  if (here.length === 0) return { head, heads: [] };
  return {
    head: here.includes(head) ? head : here[0],
    heads: here.length > 1 ? [...here].sort((a, b) => a - b) : [],
  };
}

/** The first heads of an order, as many as are removed. */
export function removedHeads(curve: HeadCurve, first: Order, count: number): number[][] {
  const order = first === "most" ? curve.order : [...curve.order].reverse();
  return order.slice(0, count);
}

/** The two lines of a metric: most important first, least important first. */
export function curveLines(curve: HeadCurve, metric: Metric): [number[], number[]] | null {
  if (!isPacked(curve.values)) return null;
  const { codes, shape } = unpack(curve.values);
  const [, metrics, steps] = shape;
  const line = (order: number) => {
    const start = (order * metrics + METRICS.indexOf(metric)) * steps;
    return Array.from(codes.subarray(start, start + steps));
  };
  const [most, least] = [line(0), line(1)];
  return most.some(Number.isFinite) ? [most, least] : null;
}

/** What is left without a third of the heads, in words: by accuracy, or by the probability. */
export function withoutAThird(curve: HeadCurve): string {
  const { counts, images } = curve;
  const all = counts.at(-1) ?? 0;
  const step = counts.findLastIndex((count) => count <= all / 3);
  const metric = (["accuracy", "probability"] as const).find((one) => curveLines(curve, one));
  const lines = metric && curveLines(curve, metric);
  if (!lines || step < 1) return "";
  const [most, least] = lines.map((line) => line[step].toFixed(2));
  const over = `over ${images} ${images === 1 ? "image" : "images"}`;
  return (
    `Without the ${counts[step]} least important of ${all} heads: ${metric} ${least}, with all ` +
    `of them ${lines[1][0].toFixed(2)}; without the ${counts[step]} most important ${most}, ${over}.`
  );
}

/** The profile over hops of a head; nothing for what is not known. */
export function hopsOf(statistics: HeadStatistics, [layer, head]: Pair): number[] {
  if (!isPacked(statistics.hops)) return [];
  const { codes, shape } = unpack(statistics.hops);
  const [layers, heads, hops] = shape;
  if (layer >= layers || head >= heads) return [];
  const start = (layer * heads + head) * hops;
  return Array.from(codes.subarray(start, start + hops));
}

/** A line in a box of 1 by 1, y down, broken where a value is missing. */
export function linePath(values: readonly number[], { low, high }: Range): string {
  const x = (i: number) => (values.length > 1 ? i / (values.length - 1) : 0.5);
  const y = (value: number) => (high > low ? 1 - (value - low) / (high - low) : 0.5);
  let [path, begun] = ["", false];
  values.forEach((value, i) => {
    const known = Number.isFinite(value);
    if (known) path += `${begun ? "L" : "M"}${x(i).toFixed(4)} ${y(value).toFixed(4)}`;
    begun = known;
  });
  return path;
}

const LAYER_TABLE = colormap("viridis");

/** The colour of a layer, the first dark and the last light. */
export function layerColour(layer: number, layers: number): Rgb {
  const part = layers > 1 ? layer / (layers - 1) : 0.5;
  // the ends of the map are as dark and as light as the page
  return parseHex(LAYER_TABLE[Math.round((0.12 + 0.76 * part) * (LAYER_TABLE.length - 1))]);
}
