// Attention as it arrives: rows for some queries, every layer (the trait `maps`, and `exact`).
import type { Grid } from "./geometry";
import { isPacked, type MaybePacked, type Packed, toBytes, type Unpacked, unpack } from "./wire";

export type Direction = "attends to" | "attended by";

export interface RawImageLayer {
  kind: "image";
  grid: [rows: number, cols: number];
  prefix: string[];
  cells: Packed;
  prefix_values: MaybePacked;
  entropy: MaybePacked;
  distance: MaybePacked;
  maximum: MaybePacked;
  note: string;
}

export interface RawMatrixLayer {
  kind: "matrix";
  shape: [queries: number, keys: number];
  cells: Packed;
  maximum: MaybePacked;
  entropy: MaybePacked;
  reason: string;
  kind_of_record: string;
  note: string;
}

/** Null for the image, the direction or the queries means whichever: plain maps belong to none. */
export interface RawPacket {
  image_index: number | null;
  direction: Direction | null;
  queries: number[] | null;
  layers: (RawImageLayer | RawMatrixLayer | null)[];
}

interface LayerBase {
  heads: number;
  rows: number;
  cols: number;
  cells: Unpacked;
  entropy: Unpacked | null;
  maximum: Unpacked | null;
  note: string;
}

/** Values have a place on the image. */
export interface ImageLayer extends LayerBase, Grid {
  kind: "image";
  names: string[];
  prefixValues: Unpacked | null;
  distance: Unpacked | null;
}

/** Nothing says where on the image its tokens are: a matrix of queries (rows) and keys (cols). */
export interface MatrixLayer extends LayerBase {
  kind: "matrix";
  reason: string;
  record: string;
}

export type Layer = ImageLayer | MatrixLayer;

export interface Packet {
  imageIndex: number | null;
  direction: Direction | null;
  /** Null: the maps belong to no query. */
  queries: number[] | null;
  layers: (Layer | null)[];
  bytes: number;
}

/** Null when there is nothing yet; throws with a readable message when it cannot be read. */
export function readPacket(raw: RawPacket | Record<string, never> | null): Packet | null {
  if (!raw || !Array.isArray(raw.layers)) return null;
  const { queries, layers, direction, image_index } = raw as RawPacket;
  return {
    imageIndex: image_index,
    direction,
    queries,
    layers: layers.map((layer) => layer && readLayer(layer)),
    bytes: layers.reduce((sum, layer) => sum + (layer ? toBytes(layer.cells.view).length : 0), 0),
  };
}

function readLayer(raw: RawImageLayer | RawMatrixLayer): Layer {
  const cells = unpack(raw.cells);
  const entropy = optional(raw.entropy);
  const maximum = optional(raw.maximum);
  if (raw.kind === "matrix") {
    const [rows, cols] = raw.shape;
    const { reason, kind_of_record: record, note } = raw;
    const heads = cells.shape[0];
    return { kind: "matrix", heads, rows, cols, cells, entropy, maximum, reason, record, note };
  }
  const [rows, cols] = raw.grid;
  return {
    kind: "image",
    heads: cells.shape[1],
    rows,
    cols,
    prefix: raw.prefix.length,
    names: raw.prefix,
    cells,
    prefixValues: optional(raw.prefix_values),
    entropy,
    distance: optional(raw.distance),
    maximum,
    note: raw.note,
  };
}

function optional(packed: MaybePacked): Unpacked | null {
  return isPacked(packed) ? unpack(packed) : null;
}

/** Which map of the arrays belongs to a query (its row in the packet) and a head. */
export function mapIndex(layer: Layer, row: number, head: number): number {
  return layer.kind === "matrix" ? head : row * layer.heads + head;
}

/** A number per query and head (entropy, distance, maximum); NaN where there is none. */
export function statistic(
  layer: Layer,
  name: "entropy" | "distance" | "maximum",
  row: number,
  heads: readonly number[],
): number {
  const numbers =
    name === "distance" && layer.kind === "matrix" ? null : (layer as ImageLayer)[name];
  if (!numbers || heads.length === 0) return Number.NaN;
  let sum = 0;
  for (const head of heads) sum += numbers.codes[mapIndex(layer, row, head)];
  return sum / heads.length;
}
