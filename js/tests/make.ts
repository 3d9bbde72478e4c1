// Packets as Python would send them, small enough to read.

import type { Axis, Tokens } from "../src/lib/geometry";
import type { RawAxis, RawImageLayer, RawPacket } from "../src/lib/packet";
import type { Packed } from "../src/lib/wire";

export function floats(values: number[], shape: number[]): Packed {
  const view = new DataView(new Float32Array(values).buffer);
  return { dtype: "f4", shape, scale: 1, offset: 0, curve: "linear", view };
}

/** An axis of tokens over the whole picture, or over `box` of it. */
export function rawAxis(
  grid: [number, number],
  prefix: string[] = [],
  box: RawAxis["box"] = [0, 0, 1, 1],
): RawAxis {
  return { grid, prefix, box };
}

/** The same as the page reads it. */
export function axis(grid: [number, number], prefix: string[] = [], box?: RawAxis["box"]): Axis {
  const [top, left, bottom, right] = box ?? [0, 0, 1, 1];
  const extent = { top, left, bottom, right };
  return { rows: grid[0], cols: grid[1], prefix: prefix.length, names: prefix, extent };
}

/** A layer whose own patches are what is selected. */
export function tokens(grid: [number, number], prefix: string[] = []): Tokens {
  const own = axis(grid, prefix);
  return { reference: own, asked: own };
}

/** One layer: for each query and head the values of all cells. */
export function imageLayer(
  values: number[][][],
  grid: [number, number],
  prefix: string[] = [],
): RawImageLayer {
  const [queries, heads, cells] = [values.length, values[0].length, values[0][0].length];
  const maps = values.flat();
  const scale = maps.map(scaleOf);
  const codes = maps.flatMap((map, i) =>
    map.map((v) => (Number.isNaN(v) ? 255 : Math.round(Math.sqrt(v / (scale[i] || 1)) * 254))),
  );
  const each = (number: (map: number[]) => number) => floats(maps.map(number), [queries, heads]);
  return {
    kind: "image",
    ...rawAxis(grid, prefix),
    asked: null,
    only: "",
    record: "self",
    signed: false,
    cells: {
      dtype: "u1",
      shape: [queries, heads, cells],
      scale,
      offset: 0,
      curve: "sqrt",
      view: new Uint8Array(codes),
    },
    prefix_values: floats(new Array(queries * heads * prefix.length).fill(0.1), [
      queries,
      heads,
      prefix.length,
    ]),
    entropy: each((map) => map.filter((v) => v > 0).length),
    distance: each((map) => map[0]),
    maximum: each((map) => (map.every(Number.isNaN) ? Number.NaN : scaleOf(map))),
    note: "",
  };
}

function scaleOf(map: number[]): number {
  return Math.max(0, ...map.filter((v) => !Number.isNaN(v)));
}

export function packet(
  layers: RawPacket["layers"],
  queries: number[] | null = [0],
  imageIndex: number | null = 0,
  reference: RawAxis | null = null,
): RawPacket {
  return { image_index: imageIndex, direction: "attends to", queries, reference, layers };
}
