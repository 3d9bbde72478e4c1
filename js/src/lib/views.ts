// Views of tokens (Python's half: widgets/token_views.py): a filter of the patch embedding times the
// pixels of each patch, times how much of that patch a token has. All of it is multiplied here, so
// that another filter or layer is drawn without asking anybody.
import { pixelTable, SIGNED } from "./colormap";
import type { None } from "./neuron";
import type { Store } from "./store";
import { isPacked, type MaybePacked, type Packed, unpack, ZERO_CODE } from "./wire";

export type Display = "signed" | "clipped";
export type Heads = "mean" | "one" | "own";
export type Score = "contrast" | "strength";

/** Each slice of the first axis flat, on a scale of its own; `whole` is the shape that it had. */
export type Whole = Packed & { whole: number[] };

export type Filters = { weights: Whole | None; bias: MaybePacked; path: string; note: string };

export type Pixels = {
  image_index: number;
  pixels: Whole | None;
  scores: Partial<Record<Score, number[]>>;
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
  views_rows: {},
  views_entry: {},
};

/** Values (channel, row, col) that can be sliced by their first axis before they are read. */
export interface Planes {
  channels: number;
  rows: number;
  cols: number;
  values: Float32Array;
}

/** One slice of an array that travelled flat. */
export function slice(packed: Whole, index: number): Planes {
  const { value, length } = unpack(packed);
  const [channels, rows, cols] = packed.whole.slice(1);
  const values = Float32Array.from({ length }, (_, i) => value(index, i));
  return { channels, rows, cols, values };
}

/** All of an image: its slices are the channels. */
export function planes(packed: Whole): Planes {
  const { value, length } = unpack(packed);
  const [channels, rows, cols] = packed.whole;
  const values = new Float32Array(channels * length);
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < length; i++) values[c * length + i] = value(c, i);
  return { channels, rows, cols, values };
}

/**
 * What is drawn, as square roots of magnitudes with their signs: a weight then costs one product a
 * pixel, and small values are seen.
 */
export interface Field {
  rows: number;
  cols: number;
  /** Pixels of one patch. */
  down: number;
  across: number;
  /** Whether it is the sum over the channels; if not, channels whose negative values are 0. */
  signed: boolean;
  planes: readonly Float32Array[];
  /** The largest magnitude of each patch, no root of it. */
  peaks: Float32Array;
}

type Grid = Pick<Field, "rows" | "cols" | "down" | "across" | "signed">;

/** A filter, pixel by pixel on every patch of an image: the views at level 0, side by side. */
export function product(filter: Planes, image: Planes, display: Display): Field {
  const { rows: down, cols: across } = filter;
  const [rows, cols] = [Math.floor(image.rows / down), Math.floor(image.cols / across)];
  const width = cols * across;
  const sums = display === "signed";
  // of more channels than three the first are shown
  const count = sums ? filter.channels : Math.min(3, filter.channels);
  const made = Array.from(
    { length: sums ? 1 : count },
    () => new Float32Array(rows * down * width),
  );
  for (let c = 0; c < count; c++) {
    const plane = made[sums ? 0 : c];
    for (let y = 0, i = 0; y < rows * down; y++) {
      const kernel = (c * down + (y % down)) * across;
      let from = (c * image.rows + y) * image.cols;
      for (let col = 0; col < cols; col++)
        for (let k = kernel; k < kernel + across; k++, i++, from++)
          plane[i] += image.values[from] * filter.values[k];
    }
  }
  return fieldOf(made, { rows, cols, down, across, signed: sums });
}

/** A filter itself: its product with a patch of ones. */
export function kernel(filter: Planes, display: Display): Field {
  const values = new Float32Array(filter.values.length).fill(1);
  return product(filter, { ...filter, values }, display);
}

/** Notes the peaks and takes the roots. */
function fieldOf(made: Float32Array[], grid: Grid): Field {
  const { cols, down, across, signed } = grid;
  const width = cols * across;
  const peaks = new Float32Array(grid.rows * cols);
  for (const plane of made)
    for (let patch = 0; patch < peaks.length; patch++) {
      const start = Math.floor(patch / cols) * down * width + (patch % cols) * across;
      let peak = peaks[patch];
      for (let y = 0; y < down; y++)
        for (let i = start + y * width; i < start + y * width + across; i++) {
          const value = plane[i];
          const size = value < 0 ? (signed ? -value : 0) : value;
          if (size > peak) peak = size;
          plane[i] = value < 0 ? -Math.sqrt(size) : Math.sqrt(size);
        }
      peaks[patch] = peak;
    }
  return { ...grid, planes: made, peaks };
}

/** One patch of a field. */
export function patchOf(field: Field, row: number, col: number): Field {
  const { down, across, cols } = field;
  const planes = field.planes.map((all) => {
    const part = new Float32Array(down * across);
    for (let y = 0; y < down; y++) {
      const from = (row * down + y) * cols * across + col * across;
      part.set(all.subarray(from, from + across), y * across);
    }
    return part;
  });
  const peaks = Float32Array.of(field.peaks[row * cols + col]);
  return { ...field, rows: 1, cols: 1, planes, peaks };
}

/** The value that the strongest colour stands for, of a field whose patches are weighed. */
export function scaleOf({ peaks }: Field, weights: ArrayLike<number> | null): number {
  let scale = 0;
  for (let i = 0; i < peaks.length; i++)
    scale = Math.max(scale, peaks[i] * (weights ? weights[i] : 1));
  return scale;
}

const table = /* @__PURE__ */ pixelTable(SIGNED);
const OPAQUE = 0xff000000;

/**
 * Paints a field, its patches weighed, into pixels (32 bits each, little-endian). No value may be
 * larger than `scale`.
 */
export function paintField(
  into: Uint32Array,
  field: Field,
  weights: ArrayLike<number> | null,
  scale: number,
): void {
  const { cols, down, across, planes, signed } = field;
  const width = cols * across;
  const [red, green = red, blue = green] = planes; // one channel alone is grey
  for (let patch = 0; patch < field.peaks.length; patch++) {
    const factor = scale > 0 ? Math.sqrt((weights ? weights[patch] : 1) / scale) : 0;
    const most = factor * (signed ? ZERO_CODE : 255);
    const start = Math.floor(patch / cols) * down * width + (patch % cols) * across;
    for (let y = 0; y < down; y++) {
      const end = start + y * width + across;
      if (signed)
        for (let i = end - across; i < end; i++)
          into[i] = table[(red[i] * most + ZERO_CODE + 0.5) | 0];
      else
        for (let i = end - across; i < end; i++)
          into[i] =
            OPAQUE |
            ((blue[i] * most + 0.5) << 16) |
            ((green[i] * most + 0.5) << 8) |
            (red[i] * most + 0.5);
    }
  }
}

/** The head that a feature of the embedding belongs to: ⌊j H / D⌋. */
export function owningHead(filter: number, filters: number, heads: number): number {
  return Math.floor((filter * heads) / filters);
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

/** How much each patch has in the view of one token. */
export interface Weights {
  /** Square roots of shares of the largest, as codes. */
  codes: Uint8Array;
  maximum: number;
  values: Float32Array;
}

/** What a page has of views: arrays read once, and what was multiplied lately. */
export interface Views {
  /** How many filters there are; 0 while they are on their way. */
  count(): number;
  filter(index: number): Planes | null;
  /** The levels above the embedding. */
  layers(): number;
  /** Images whose pixels the page has, the one that came last at the end. */
  images(): number[];
  pixels(image: number): Planes | null;
  /** A filter on an image; null while its pixels are on their way. */
  field(filter: number, image?: number): Field | null;
  /** Whether the rows that are here are those of the image and the options in view. */
  current(): boolean;
  /** Whether there are no rows, for a reason that is said. */
  refused(): boolean;
  weights(token: number, level: number, filter: number): Weights | null;
  /** Exact numbers of the token that is asked about. */
  entry(): Entry | null;
}

type Read = ViewsTraits & { image_index: number; query: number; head: number };

const MOST_IMAGES = 6;
const MOST_FIELDS = 8;

export function viewsOf(store: Store<Read>, signal: AbortSignal): Views {
  const images = new Map<number, Planes>();
  const fields = new Map<string, Field>();
  const rows = new Map<number, { packed: Packed; at: number }>();
  let of: Followed | null = null;

  function keepImage(): void {
    const came = store.get("views_image");
    if (!("pixels" in came) || !isPacked(came.pixels)) return;
    images.delete(came.image_index);
    images.set(came.image_index, planes(came.pixels as Whole));
    for (const index of images.keys()) {
      if (images.size <= MOST_IMAGES) break;
      images.delete(index);
    }
    fields.clear();
  }
  /** Rows that came are kept until an option or the image changes. */
  function keepRows(): void {
    const came = store.get("views_rows") as Rows;
    if (!("tokens" in came)) return; // nothing has come yet
    if (!of || !sameWay(of, came)) rows.clear();
    of = came;
    if (!isPacked(came.rows)) return;
    came.tokens.forEach((token, at) => {
      rows.set(token, { packed: came.rows as Packed, at });
    });
  }
  const forget = () => fields.clear();
  store.on("views_image", keepImage, signal);
  store.on("views_rows", keepRows, signal);
  store.on("views_filters", forget, signal);
  keepImage();
  keepRows();

  function followed(came: Followed | None): boolean {
    if (!("heads" in came)) return false;
    return sameWay(came as Followed, {
      image_index: store.get("image_index"),
      head: store.get("head"),
      residual: store.get("views_residual"),
      heads: store.get("views_heads"),
    });
  }
  function weightsOf(): Whole | null {
    const filters = store.get("views_filters");
    return "weights" in filters && isPacked(filters.weights) ? (filters.weights as Whole) : null;
  }
  const views: Views = {
    count: () => weightsOf()?.whole[0] ?? 0,
    filter(index) {
      const weights = weightsOf();
      return weights && index < weights.whole[0] ? slice(weights, index) : null;
    },
    layers() {
      const first = rows.values().next().value;
      return first ? first.packed.shape[2] - 1 : 0;
    },
    images: () => [...images.keys()],
    pixels: (image) => images.get(image) ?? null,
    field(index, image = store.get("image_index")) {
      const display = store.get("views_display");
      const name = `${image} ${index} ${display}`;
      const known = fields.get(name);
      if (known) return known;
      const [filter, pixels] = [views.filter(index), images.get(image)];
      if (!filter || !pixels) return null;
      const made = product(filter, pixels, display);
      fields.set(name, made);
      for (const old of fields.keys()) {
        if (fields.size <= MOST_FIELDS) break;
        fields.delete(old);
      }
      return made;
    },
    current: () => followed(store.get("views_rows") as Followed | None),
    refused() {
      const came = store.get("views_rows") as Rows;
      return views.current() && !isPacked(came.rows) && came.note !== "";
    },
    weights(token, level, filter) {
      const found = rows.get(token);
      if (!found || !views.current()) return null;
      const [, heads, levels, patches] = found.packed.shape;
      if (level < 0 || level >= levels) return null;
      const head = heads > 1 ? owningHead(filter, views.count(), heads) : 0;
      const map = (found.at * heads + head) * levels + level;
      const { codes, scale, value } = unpack(found.packed);
      return {
        codes: codes.subarray(map * patches, (map + 1) * patches) as Uint8Array,
        maximum: scale(map),
        values: Float32Array.from({ length: patches }, (_, i) => value(map, i)),
      };
    },
    entry() {
      const came = store.get("views_entry");
      if (!("query" in came) || came.query !== store.get("query")) return null;
      return followed(came as Followed) ? (came as Entry) : null;
    },
  };
  return views;
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
