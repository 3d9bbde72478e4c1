// Rows already received, so that going back to a patch is instant.
import { type Layer, mapIndex, type Packet } from "./packet";
import type { Direction } from "./state";

export interface Row {
  packet: Packet;
  /** Which entry of the packet's first axis. */
  row: number;
  query: number;
}

const MOST_BYTES = 32e6;

export interface RowCache {
  add(packet: Packet): void;
  find(imageIndex: number, direction: Direction, query: number): Row | null;
}

/** Holds rows of one image. A row that comes again with other values empties it: the model changed. */
export function rowCache(mostBytes = MOST_BYTES): RowCache {
  let packets: Packet[] = [];
  const rows = new Map<string, Row>();

  function clear(): void {
    packets = [];
    rows.clear();
  }

  function add(packet: Packet): void {
    const last = packets.at(-1);
    const queries = packet.queries ?? [];
    const changed = queries.some((query, row) => {
      const known = rows.get(key(packet.direction, query));
      return known !== undefined && differ(known, { packet, row, query });
    });
    const other = last && last.imageIndex !== packet.imageIndex;
    if (changed || other || packet.queries === null || last?.queries === null) clear();
    packets.push(packet);
    queries.forEach((query, row) => {
      rows.set(key(packet.direction, query), { packet, row, query });
    });
    const used = new Set([...rows.values()].map((row) => row.packet));
    packets = packets.filter((one) => used.has(one) || one === packet);
    let bytes = packets.reduce((sum, one) => sum + one.bytes, 0);
    while (bytes > mostBytes && packets.length > 1) {
      const oldest = packets.shift() as Packet;
      bytes -= oldest.bytes;
      for (const [name, row] of rows) if (row.packet === oldest) rows.delete(name);
    }
  }

  function find(imageIndex: number, direction: Direction, query: number): Row | null {
    const last = packets.at(-1);
    if (!last || (last.imageIndex !== null && last.imageIndex !== imageIndex)) return null;
    const row = rows.get(key(direction, query)) ?? rows.get(key(null, query));
    if (row) return row;
    if (last.direction !== null && last.direction !== direction) return null;
    // plain maps belong to no query; matrices, and what a single token asks, are the same for all
    const layers = last.layers.filter((layer) => layer !== null);
    const any = last.queries === null || (layers.length > 0 && layers.every(isFixed));
    return any ? { packet: last, row: 0, query } : null;
  }

  return { add, find };
}

function isFixed(layer: Layer): boolean {
  return layer.kind === "matrix" || layer.only !== "";
}

function key(direction: Direction | null, query: number): string {
  return `${direction ?? "whichever"} ${query}`;
}

/** Whether two rows hold different numbers for a layer that both have. */
function differ(a: Row, b: Row): boolean {
  if (a.packet.layers.length !== b.packet.layers.length) return true;
  return a.packet.layers.some((before, i) => {
    const after = b.packet.layers[i];
    if (!before || !after) return false;
    if (before.heads !== after.heads || before.cells.length !== after.cells.length) return true;
    const { length } = before.cells;
    const was = mapIndex(before, a.row, 0) * length;
    const is = mapIndex(after, b.row, 0) * length;
    for (let j = 0; j < before.heads * length; j++) {
      if (before.cells.codes[was + j] !== after.cells.codes[is + j]) return true;
    }
    for (let head = 0; head < before.heads; head++) {
      const old = before.cells.scale(mapIndex(before, a.row, head));
      if (old !== after.cells.scale(mapIndex(after, b.row, head))) return true;
    }
    return false;
  });
}
