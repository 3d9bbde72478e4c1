// Attention as it arrives: rows for some queries, every layer (the trait `maps`, and `exact`).
import type { Axis, Tokens } from "./geometry";
import { isPacked, type MaybePacked, type Packed, toBytes, type Unpacked, unpack } from "./wire";

export type Direction = "attends to" | "attended by";

/** An axis of tokens: names of those before the patches, and what the grid covers of the picture. */
export interface RawAxis {
  grid: [rows: number, cols: number];
  prefix: string[];
  box: [top: number, left: number, bottom: number, right: number];
}

export interface RawImageLayer extends RawAxis {
  kind: "image";
  /** The axis of what asks, where it is not that of the map. */
  asked: RawAxis | null;
  /** The single thing that asks ("class token"), or nothing. */
  only: string;
  record: string;
  signed: boolean;
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
  axes: [down: string, across: string];
  signed: boolean;
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
  /** The axis that queries count on; null: each layer's own. */
  reference: RawAxis | null;
  layers: (RawImageLayer | RawMatrixLayer | null)[];
}

interface LayerBase {
  heads: number;
  rows: number;
  cols: number;
  /** Values have both signs; zero is the middle of their colours. */
  signed: boolean;
  cells: Unpacked;
  entropy: Unpacked | null;
  maximum: Unpacked | null;
  /** "self", "class", "channel" … */
  record: string;
  note: string;
}

/** Values have a place on the image; rows and cols are those of the map. */
export interface ImageLayer extends LayerBase, Axis, Tokens {
  kind: "image";
  /** The single thing that asks, whatever is selected; or nothing. */
  only: string;
  prefixValues: Unpacked | null;
  distance: Unpacked | null;
}

/** Nothing says where on the image its tokens are: a matrix of queries (rows) and keys (cols). */
export interface MatrixLayer extends LayerBase {
  kind: "matrix";
  /** What rows and columns are: ["queries", "keys"], ["channels", "channels"]. */
  axes: [down: string, across: string];
  reason: string;
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
  const reference = raw.reference ? readAxis(raw.reference) : null;
  return {
    imageIndex: image_index,
    direction,
    queries,
    layers: layers.map((layer) => layer && readLayer(layer, reference)),
    bytes: layers.reduce((sum, layer) => sum + (layer ? toBytes(layer.cells.view).length : 0), 0),
  };
}

export function readAxis({ grid, prefix, box }: RawAxis): Axis {
  const [rows, cols] = grid;
  const [top, left, bottom, right] = box;
  return { rows, cols, prefix: prefix.length, names: prefix, extent: { top, left, bottom, right } };
}

function readLayer(raw: RawImageLayer | RawMatrixLayer, reference: Axis | null): Layer {
  const cells = unpack(raw.cells);
  const entropy = optional(raw.entropy);
  const maximum = optional(raw.maximum);
  if (raw.kind === "matrix") {
    const [rows, cols] = raw.shape;
    const { reason, axes, signed, kind_of_record: record, note } = raw;
    const heads = cells.shape[0];
    const about = { axes, signed, reason, record, note };
    return { kind: "matrix", heads, rows, cols, cells, entropy, maximum, ...about };
  }
  const own = readAxis(raw);
  const asked = raw.asked ? readAxis(raw.asked) : own;
  return {
    ...own,
    kind: "image",
    heads: cells.shape[1],
    asked,
    reference: reference ?? asked,
    only: raw.only,
    record: raw.record,
    signed: raw.signed,
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

/** Whether a query has a row in a layer; one that the layer does not have is without any value. */
export function hasRow(layer: Layer, row: number): boolean {
  return layer.kind === "matrix" || !Number.isNaN(layer.maximum?.codes[mapIndex(layer, row, 0)]);
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
