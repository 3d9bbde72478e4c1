// Tokens as points of a plane: which they are, where, and in what colour (Python's half:
// widgets/token_scatter.py). Points are counted as they arrive.
import { colormap, parseHex, type Rgb } from "./colormap";
import { placeIn, type Tokens, tokenUnder } from "./geometry";
import type { None } from "./neuron";
import { segmentColour } from "./patch_features";
import { isPacked, type MaybePacked, type Numbers, unpack } from "./wire";

export type ScatterMethod = "pca" | "tsne" | "umap";
export type ScatterSpan = "this image" | "all images";
export type ScatterColour = "position" | "norm" | "cluster" | "attention" | "object" | "image";

export type ScatterPoints = {
  layer: number;
  image_index: number;
  method: ScatterMethod;
  span: ScatterSpan;
  points: MaybePacked;
  image: MaybePacked;
  token: MaybePacked;
  /** Names of the tokens before the patches. */
  prefix: string[];
  /** Rows and columns of the patches; empty where places are not known. */
  grid: number[];
  explained: number[];
  done: number;
  total: number;
  note: string;
};

export type ScatterValues = {
  layer: number;
  query: number;
  image_index: number;
  by: ScatterColour;
  values: MaybePacked;
  note: string;
};

export type ScatterTraits = {
  scatter_method: ScatterMethod;
  scatter_methods: ScatterMethod[];
  scatter_span: ScatterSpan;
  scatter_colour: ScatterColour;
  scatter_k: number;
  scatter_selected: number[];
  scatter_going: boolean;
  scatter_points: ScatterPoints | None;
  scatter_values: ScatterValues | None;
};

export const scatterTraits: ScatterTraits = {
  scatter_method: "pca",
  scatter_methods: ["pca", "tsne"],
  scatter_span: "this image",
  scatter_colour: "position",
  scatter_k: 6,
  scatter_selected: [],
  scatter_going: true,
  scatter_points: {},
  scatter_values: {},
};

/** Points that have arrived; x to the right and y up, from -1 to 1. */
export interface Cloud {
  count: number;
  x: Float32Array;
  y: Float32Array;
  /** The coordinates as they came: (point, 2). */
  exact: Numbers;
  image: Numbers;
  token: Numbers;
  prefix: readonly string[];
  cols: number;
  rows: number;
}

const read = new WeakMap<object, Cloud>();

/** Reads an answer, once; null where it has no points. */
export function cloudOf(raw: ScatterPoints | None): Cloud | null {
  if (!raw || !("points" in raw) || !isPacked(raw.points)) return null;
  const known = read.get(raw);
  if (known) return known;
  const exact = unpack(raw.points).codes;
  const count = exact.length / 2;
  const [x, y] = [new Float32Array(count), new Float32Array(count)];
  // the same scale along both axes, so that distances are what they look like
  const ends = [0, 1].map((axis) => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let i = axis; i < exact.length; i += 2) {
      low = Math.min(low, exact[i]);
      high = Math.max(high, exact[i]);
    }
    return { middle: (low + high) / 2, half: (high - low) / 2 };
  });
  const away = Math.max(ends[0].half, ends[1].half) || 1;
  for (let i = 0; i < count; i++) {
    x[i] = (exact[2 * i] - ends[0].middle) / away;
    y[i] = (exact[2 * i + 1] - ends[1].middle) / away;
  }
  const numbers = (packed: MaybePacked, otherwise: (i: number) => number): Numbers =>
    isPacked(packed) && packed.shape[0] === count
      ? unpack(packed).codes
      : Float32Array.from({ length: count }, (_, i) => otherwise(i));
  const cloud = {
    count,
    x,
    y,
    exact,
    image: numbers(raw.image, () => raw.image_index),
    token: numbers(raw.token, (i) => i),
    prefix: raw.prefix,
    rows: raw.grid[0] ?? 0,
    cols: raw.grid[1] ?? 0,
  };
  read.set(raw, cloud);
  return cloud;
}

/** Whether two clouds are of the same tokens, point for point. */
export function sameTokens(a: Cloud, b: Cloud): boolean {
  if (a === b) return true;
  if (a.count !== b.count) return false;
  for (let i = 0; i < a.count; i++)
    if (a.image[i] !== b.image[i] || a.token[i] !== b.token[i]) return false;
  return true;
}

/** The point of a token of an image; -1 where there is none. */
export function pointOf(cloud: Cloud, image: number, token: number): number {
  for (let i = 0; i < cloud.count; i++)
    if (cloud.token[i] === token && cloud.image[i] === image) return i;
  return -1;
}

/** The point of each patch of an image, in raster order; -1 where there is none. */
export function patchPoints(cloud: Cloud, image: number): Int32Array {
  const points = new Int32Array(cloud.rows * cloud.cols).fill(-1);
  for (let i = 0; i < cloud.count; i++) {
    const patch = cloud.token[i] - cloud.prefix.length;
    if (cloud.image[i] === image && patch >= 0 && patch < points.length) points[patch] = i;
  }
  return points;
}

/** The point of what the selection asks about; -1 where this layer has none. */
export function pointOfQuery(cloud: Cloud, image: number, query: number, tokens: Tokens | null) {
  if (!tokens || cloud.cols === 0) return pointOf(cloud, image, query);
  const { reference } = tokens;
  if (query < reference.prefix) {
    const token = cloud.prefix.indexOf(reference.names[query]);
    return token < 0 ? -1 : pointOf(cloud, image, token);
  }
  const place = placeIn(query, tokens);
  if (!place) return -1;
  return pointOf(cloud, image, cloud.prefix.length + place.row * cloud.cols + place.col);
}

/** What the selection asks about with a point; null where it cannot. */
export function queryOf(cloud: Cloud, point: number, tokens: Tokens | null): number | null {
  const token = cloud.token[point];
  if (!tokens || cloud.cols === 0) return token;
  const patch = token - cloud.prefix.length;
  if (patch < 0) {
    const found = tokens.reference.names.indexOf(cloud.prefix[token]);
    return found < 0 ? null : found;
  }
  const place = { row: Math.floor(patch / cloud.cols), col: patch % cloud.cols };
  return tokenUnder(place, tokens);
}

/** The nearest point to a place, at most `within` away; -1 where there is none. */
export function nearest(
  { x, y }: Pick<Cloud, "x" | "y">,
  at: { x: number; y: number },
  within: number,
): number {
  let found = -1;
  let least = within * within;
  for (let i = 0; i < x.length; i++) {
    const distance = (x[i] - at.x) ** 2 + (y[i] - at.y) ** 2;
    if (distance <= least) [found, least] = [i, distance];
  }
  return found;
}

/** The points inside a closed line, by how often a ray from them crosses it. */
export function enclosed(
  { x, y }: Pick<Cloud, "x" | "y">,
  line: readonly { x: number; y: number }[],
): number[] {
  const found: number[] = [];
  for (let i = 0; i < x.length; i++) {
    let inside = false;
    for (let k = 0, before = line.length - 1; k < line.length; before = k++) {
      const [a, b] = [line[k], line[before]];
      if (a.y > y[i] === b.y > y[i]) continue;
      if (x[i] < ((b.x - a.x) * (y[i] - a.y)) / (b.y - a.y) + a.x) inside = !inside;
    }
    if (inside) found.push(i);
  }
  return found;
}

/** Points of one choice added to those of another, or alone. */
export function selection(before: readonly number[], now: readonly number[], add: boolean) {
  return add ? [...new Set([...before, ...now])].sort((a, b) => a - b) : [...now];
}

// Blue to orange from left to right, dark to light from top to bottom: two axes that colour-blind
// readers tell apart.
const CORNERS: readonly [Rgb, Rgb, Rgb, Rgb] = [
  [10, 60, 140],
  [150, 60, 0],
  [130, 200, 250],
  [255, 205, 120],
];

/** The colour of a place, in fractions of the picture. */
export function placeColour(down: number, across: number): Rgb {
  const mix = (k: 0 | 1 | 2) => {
    const [a, b, c, d] = CORNERS.map((corner) => corner[k]);
    return Math.round(
      (1 - down) * ((1 - across) * a + across * b) + down * ((1 - across) * c + across * d),
    );
  };
  return [mix(0), mix(1), mix(2)];
}

/** What has no value, in any theme. */
export const NO_COLOUR: Rgb = [140, 146, 156];

export interface Legend {
  /** Categories with their colours and how many points they have. */
  groups: { name: string; colour: Rgb; count: number }[];
  /** The ends of a colour bar, or null where there is none. */
  range: { low: number; high: number } | null;
}

export interface Colours {
  rgb: readonly Rgb[];
  legend: Legend;
}

const NOUN = { cluster: "cluster", object: "object", image: "image" } as const;

/** A colour for each point; `values` are null where they are still on their way. */
export function coloursOf(
  cloud: Cloud,
  by: ScatterColour,
  values: ArrayLike<number> | null,
  map: string,
  names: readonly string[] = [],
): Colours {
  const none: Legend = { groups: [], range: null };
  const each = (colour: (i: number) => Rgb): Rgb[] =>
    Array.from({ length: cloud.count }, (_, i) => colour(i));
  if (by === "position") {
    const { rows, cols, prefix } = cloud;
    const rgb = each((i) => {
      const patch = cloud.token[i] - prefix.length;
      if (patch < 0 || rows * cols === 0) return NO_COLOUR;
      return placeColour(
        Math.floor(patch / cols) / Math.max(1, rows - 1),
        (patch % cols) / Math.max(1, cols - 1),
      );
    });
    return { rgb, legend: none };
  }
  if (by === "image" || by === "cluster" || by === "object") {
    const label = by === "image" ? cloud.image : values;
    if (!label) return { rgb: each(() => NO_COLOUR), legend: none };
    const colour = (group: number): Rgb =>
      by === "object" ? (group > 0 ? segmentColour(group - 1) : NO_COLOUR) : segmentColour(group);
    const counts = new Map<number, number>();
    const rgb = each((i) => {
      if (Number.isNaN(label[i])) return NO_COLOUR;
      counts.set(label[i], (counts.get(label[i]) ?? 0) + 1);
      return colour(label[i]);
    });
    const groups = [...counts].sort(([a], [b]) => a - b);
    return {
      rgb,
      legend: {
        groups: groups.map(([group, count]) => ({
          name:
            by === "image"
              ? names[group] || `image ${group}`
              : by === "object" && group === 0
                ? "background"
                : `${NOUN[by]} ${group}`,
          colour: colour(group),
          count,
        })),
        range: null,
      },
    };
  }
  if (!values) return { rgb: each(() => NO_COLOUR), legend: none };
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  if (low > high) return { rgb: each(() => NO_COLOUR), legend: none };
  if (by === "attention") low = 0;
  const table = tableOf(map);
  const rgb = each((i) => {
    if (Number.isNaN(values[i])) return NO_COLOUR;
    const part = high > low ? (values[i] - low) / (high - low) : 0;
    // on a square root, as attention is drawn everywhere
    const shown = by === "attention" ? Math.sqrt(part) : part;
    return table[Math.round(shown * (table.length - 1))];
  });
  return { rgb, legend: { groups: [], range: { low, high } } };
}

const tables = new Map<string, Rgb[]>();

function tableOf(name: string): readonly Rgb[] {
  const known = tables.get(name) ?? colormap(name).map(parseHex);
  tables.set(name, known);
  return known;
}

/** How a point is called: "patch (3, 4)", "class token", "token 7". */
export function pointName(cloud: Cloud, point: number): string {
  const token = cloud.token[point];
  const patch = token - cloud.prefix.length;
  if (patch < 0) return `${cloud.prefix[token]} token`;
  if (cloud.cols === 0) return `token ${token}`;
  return `patch (${Math.floor(patch / cloud.cols)}, ${patch % cloud.cols})`;
}

/** Patches of an image as colours of their points, RGBA; nothing where they are not selected. */
export function patchColours(
  points: Int32Array,
  rgb: readonly Rgb[],
  selected: ReadonlySet<number>,
): Uint8ClampedArray {
  const pixels = new Uint8ClampedArray(points.length * 4);
  points.forEach((point, patch) => {
    if (point < 0 || rgb[point] === NO_COLOUR || (selected.size > 0 && !selected.has(point)))
      return;
    pixels.set([...rgb[point], selected.size > 0 ? 220 : 150], patch * 4);
  });
  return pixels;
}
