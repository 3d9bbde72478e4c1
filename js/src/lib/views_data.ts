// What a page of views was sent, read once, and what was multiplied lately.

import type { None } from "./neuron";
import type { Store } from "./store";
import {
  type Entry,
  type Followed,
  owningHead,
  type Rows,
  sameWay,
  type ViewsTraits,
  type Whole,
} from "./views";
import { type Field, type Planes, planes, product, slice } from "./views_field";
import { isPacked, type Packed, unpack } from "./wire";

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
  /** Whether rows end below a level, for a reason that is said. */
  ended(level: number): boolean;
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
    ended: (level) => views.current() && views.layers() > 0 && level > views.layers(),
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
