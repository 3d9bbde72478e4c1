// Views of tokens: what a page has of them (Python's half: widgets/token_views.py), and what that says.
import type { None } from "./neuron";
import { isPacked, type MaybePacked, type Packed, unpack } from "./wire";

export type Display = "signed" | "clipped";
export type Heads = "mean" | "one" | "own";
export type Score = "contrast" | "strength" | "separation";

/** Each slice of the first axis flat, on a scale of its own; `whole` is the shape that it had. */
export type Whole = Packed & { whole: number[] };

export type Filters = { weights: Whole | None; bias: MaybePacked; path: string; note: string };

export type Pixels = {
  image_index: number;
  pixels: Whole | None;
  scores: Partial<Record<Exclude<Score, "separation">, number[]>>;
  note: string;
};

/** How far objects are from the rest; of which objects, as they were drawn. */
export type Separation = {
  image_index: number;
  objects: MaybePacked;
  scores: number[];
  note: string;
};

/** Whose weights they are: of which image, and how attention was multiplied up. */
export type Followed = { image_index: number; head: number; residual: boolean; heads: Heads };

export type Rows = Followed & {
  tokens: number[];
  rows: MaybePacked;
  head_count: number;
  note: string;
};

export type Entry = Followed & {
  query: number;
  weights: MaybePacked;
  sums: MaybePacked;
  position: MaybePacked;
  embedding: MaybePacked;
  fixed: boolean;
  note: string;
};

export type ViewsTraits = {
  views_filter: number;
  views_pins: number[];
  views_display: Display;
  views_scale: "per view" | "shared";
  views_residual: boolean;
  views_heads: Heads;
  views_sort: "index" | Score;
  views_thumbnails: "views" | "filters";
  views_filters: Filters | None;
  views_image: Pixels | None;
  views_separation: Separation | None;
  views_rows: Rows | None;
  views_entry: Entry | None;
};

export const viewsTraits: ViewsTraits = {
  views_filter: 0,
  views_pins: [],
  views_display: "signed",
  views_scale: "per view",
  views_residual: true,
  views_heads: "mean",
  views_sort: "index",
  views_thumbnails: "views",
  views_filters: {},
  views_image: {},
  views_separation: {},
  views_rows: {},
  views_entry: {},
};

/** The head that a feature of the embedding belongs to: ⌊j H / D⌋. */
export function owningHead(filter: number, filters: number, heads: number): number {
  return Math.floor((filter * heads) / filters);
}

/** The separation of these very objects; null while it is on its way. */
export function separationOf(
  found: Separation | None,
  image: number,
  objects: Uint8Array,
): Separation | null {
  const { image_index, objects: of } = found as Partial<Separation>;
  if (image_index !== image || !of || !isPacked(of)) return null;
  const { codes } = unpack(of);
  const same = codes.length === objects.length && objects.every((one, i) => one === codes[i]);
  return same ? (found as Separation) : null;
}

/** Filters in the order that is asked for: the highest score first, or by number. */
export function ordered(count: number, scores: readonly number[] | undefined): number[] {
  const all = Array.from({ length: count }, (_, i) => i);
  return scores ? all.sort((a, b) => scores[b] - scores[a] || a - b) : all;
}

/** Levels of the small multiples: all of a few layers, else the first, two thirds and the last. */
export function levelsShown(layers: number): number[] {
  if (layers <= 7) return Array.from({ length: layers + 1 }, (_, i) => i);
  return [...new Set([0, Math.round(layers / 3), Math.round((2 * layers) / 3), layers])];
}

/** Whether two answers are of one image and one way to follow attention. */
export function sameWay(a: Followed, b: Followed): boolean {
  return (
    a.image_index === b.image_index &&
    a.residual === b.residual &&
    a.heads === b.heads &&
    (a.heads !== "one" || a.head === b.head)
  );
}

/** The exact weight of one patch in the view of the token that is asked about. */
export function exactWeight(
  entry: Entry | null,
  level: number,
  patch: number,
  filter: number,
  filters: number,
): number | null {
  if (!entry || !isPacked(entry.weights)) return null;
  const { codes, shape } = unpack(entry.weights);
  const [heads, levels, patches] = shape;
  if (level >= levels || patch >= patches) return null;
  const head = heads > 1 ? owningHead(filter, filters, heads) : 0;
  return codes[(head * levels + level) * patches + patch];
}

/** The numbers of one feature: what its filter sums up, and what makes that the embedding. */
export function numbersOf(entry: Entry | null, filters: Filters | None, filter: number) {
  const at = (packed: MaybePacked | undefined) =>
    packed && isPacked(packed) ? unpack(packed).codes[filter] : null;
  if (!entry || !isPacked(entry.sums)) return null;
  return {
    sum: at(entry.sums) as number,
    bias: at((filters as Filters).bias) ?? 0,
    position: at(entry.position),
    embedding: at(entry.embedding),
    fixed: entry.fixed,
  };
}
