// What can be drawn now: the row that is asked for, or the last good one while Python works.
import { clampIndex } from "./geometry";
import { type Layer, mapIndex, type Packet, type RawPacket, readPacket } from "./packet";
import { type RowCache, rowCache } from "./rows";
import type { Direction } from "./state";
import type { Store } from "./store";
import { isPacked, type MaybePacked, type Packed } from "./wire";

/** One row of attention, every layer, and the image that it belongs to. */
export interface Picture {
  packet: Packet;
  row: number;
  query: number;
  image: Packed | null;
}

/** What is really on screen: the selection, moved to the nearest that exists. */
export interface Shown {
  picture: Picture;
  layerIndex: number;
  /** Null while this layer is not there yet. */
  layer: Layer | null;
  head: number;
  /** One or more; they are drawn as their mean. */
  heads: number[];
}

/** The traits read here; a widget need not have all of them. */
export type AttentionTraits = {
  maps: RawPacket | Record<string, never>;
  exact?: RawPacket | Record<string, never>;
  image?: MaybePacked;
  layer: number;
  head: number;
  heads: number[];
  query: number;
  image_index: number;
  direction: Direction;
};

export interface Attention {
  shown(): Shown | null;
  /** The row of any query of this image, if it is here. */
  of(query: number): Picture | null;
  /** The image to draw, also before there is any attention. */
  image(): Packed | null;
  /** When the selection began to be without its row; null while the picture is the one asked for. */
  waitingSince(): number | null;
  /** The exact value of a cell for the picture shown; null when Python has not sent it. */
  exact(shown: Shown, cell: number): number | null;
  exactPrefix(shown: Shown, index: number): number;
  /** Why the data cannot be read, or nothing. */
  problem(): string;
  on(changed: () => void): void;
}

export function attentionOf(store: Store<AttentionTraits>, signal: AbortSignal): Attention {
  const cache: RowCache = rowCache();
  const listeners = new Set<() => void>();
  let latest: Packet | null = null;
  let exact: Packet | null = null;
  let picture: Picture | null = null;
  let since: number | null = null;
  const problems: { maps?: string; exact?: string } = {};

  function read(key: "maps" | "exact"): Packet | null {
    delete problems[key];
    try {
      return readPacket(store.get(key) ?? null);
    } catch (error) {
      problems[key] = error instanceof Error ? error.message : String(error);
      return null;
    }
  }

  function readMaps(): void {
    latest = read("maps");
    if (latest) cache.add(latest);
  }

  function adoptedImage(): Packed | null {
    const image = store.get("image");
    const mine = isPacked(image) ? image : null;
    // the picture of one image is never drawn on another
    const index = latest?.imageIndex ?? null;
    return index !== null && index !== store.get("image_index") ? (picture?.image ?? mine) : mine;
  }

  function of(query: number): Picture | null {
    const row = cache.find(store.get("image_index"), store.get("direction"), query);
    return row && { ...row, image: adoptedImage() };
  }

  function select(): void {
    const wanted = of(store.get("query"));
    const there =
      wanted?.packet.layers[clampIndex(store.get("layer"), wanted.packet.layers.length)];
    if (wanted) picture = wanted;
    if (wanted && (there || wanted.packet.layers.length === 0)) since = null;
    else since ??= performance.now();
  }

  function changed(): void {
    select();
    for (const listener of [...listeners]) listener();
  }

  function readExact(): void {
    exact = read("exact");
  }

  // listeners hear in this order: first it is read, then it is shown
  store.on("maps", readMaps, signal);
  store.on("exact", readExact, signal);
  for (const key of [
    "maps",
    "exact",
    "image",
    "layer",
    "head",
    "heads",
    "query",
    "image_index",
    "direction",
  ] as const)
    store.on(key, changed, signal);
  readMaps();
  readExact();
  select();

  function exactMap(shown: Shown): { layer: Layer; row: number } | null {
    const { packet, query } = shown.picture;
    const row = exact?.queries ? exact.queries.indexOf(query) : 0;
    const layer = exact?.layers[shown.layerIndex];
    const matches =
      exact?.imageIndex === packet.imageIndex && exact.direction === packet.direction && row >= 0;
    return matches && layer?.kind === shown.layer?.kind && layer ? { layer, row } : null;
  }

  return {
    of,
    image: () => picture?.image ?? adoptedImage(),
    waitingSince: () => since,
    problem: () => problems.maps ?? problems.exact ?? "",
    on: (listener) => listeners.add(listener),
    shown() {
      if (!picture || picture.packet.layers.length === 0) return null;
      const { layers } = picture.packet;
      const layerIndex = clampIndex(store.get("layer"), layers.length);
      const layer = layers[layerIndex];
      const count = layer?.heads ?? 1;
      const head = clampIndex(store.get("head"), count);
      const heads = store.get("heads").filter((one) => one >= 0 && one < count);
      return { picture, layerIndex, layer, head, heads: heads.includes(head) ? heads : [head] };
    },
    exact(shown, cell) {
      const found = exactMap(shown);
      if (!found) return null;
      return mean(shown.heads, (head) =>
        found.layer.cells.value(mapIndex(found.layer, found.row, head), cell),
      );
    },
    exactPrefix(shown, index) {
      if (shown.layer?.kind !== "image") return Number.NaN;
      const { layer, picture } = shown;
      const values = layer.prefixValues;
      if (!values || index >= values.length) return Number.NaN;
      return mean(shown.heads, (head) => values.value(mapIndex(layer, picture.row, head), index));
    },
  };
}

function mean(heads: readonly number[], value: (head: number) => number): number {
  return heads.reduce((sum, head) => sum + value(head), 0) / heads.length;
}
