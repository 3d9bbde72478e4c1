// Packets as Python would send them, small enough to read.
import type { RawImageLayer, RawPacket } from "../src/lib/packet";
import type { Packed } from "../src/lib/wire";

export function floats(values: number[], shape: number[]): Packed {
  const view = new DataView(new Float32Array(values).buffer);
  return { dtype: "f4", shape, scale: 1, offset: 0, curve: "linear", view };
}

/** One layer: for each query and head the values of all cells. */
export function imageLayer(
  values: number[][][],
  grid: [number, number],
  prefix: string[] = [],
): RawImageLayer {
  const [queries, heads, cells] = [values.length, values[0].length, values[0][0].length];
  const maps = values.flat();
  const scale = maps.map((map) => Math.max(...map.filter((v) => !Number.isNaN(v))));
  const codes = maps.flatMap((map, i) =>
    map.map((v) => (Number.isNaN(v) ? 255 : Math.round(Math.sqrt(v / (scale[i] || 1)) * 254))),
  );
  const each = (number: (map: number[]) => number) => floats(maps.map(number), [queries, heads]);
  return {
    kind: "image",
    grid,
    prefix,
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
    maximum: each((map) => Math.max(...map.filter((v) => !Number.isNaN(v)))),
    note: "",
  };
}

export function packet(
  layers: RawPacket["layers"],
  queries: number[] | null = [0],
  imageIndex: number | null = 0,
): RawPacket {
  return { image_index: imageIndex, direction: "attends to", queries, layers };
}
