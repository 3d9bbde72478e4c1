// The atlas of a layer: which cells are on screen, which of them are still to be asked for, and
// the pictures that have come, as many as memory allows.
import type { AtlasCells, AtlasRange } from "./neuron";
import { isPacked, unpack } from "./wire";

export interface Cell {
  rgb: Uint8Array;
  width: number;
  height: number;
  caption: string;
}

export interface CellCache {
  add(packet: AtlasCells): void;
  get(layer: number, neuron: number): Cell | undefined;
}

const MOST_BYTES = 48e6;

/** Keeps the cells that came last. */
export function cellCache(mostBytes = MOST_BYTES): CellCache {
  const cells = new Map<string, Cell>();
  let bytes = 0;
  const drop = (name: string) => {
    bytes -= cells.get(name)?.rgb.length ?? 0;
    cells.delete(name);
  };
  return {
    get: (layer, neuron) => cells.get(`${layer} ${neuron}`),
    add({ layer, first, images, captions }) {
      if (!isPacked(images)) return;
      const { codes, shape } = unpack(images);
      const [count, height, width] = shape;
      const size = height * width * 3;
      for (let i = 0; i < count; i++) {
        const name = `${layer} ${first + i}`;
        drop(name);
        // its own bytes, so that the packet can go
        const rgb = Uint8Array.from(codes.subarray(i * size, (i + 1) * size));
        cells.set(name, { rgb, width, height, caption: captions[i] ?? "" });
        bytes += size;
      }
      for (const name of cells.keys()) {
        if (bytes <= mostBytes) break;
        drop(name);
      }
    },
  };
}

/** Neurons in the rows that a scrolled box shows, and one row more to both sides. */
export function inView(
  scroll: { top: number; height: number },
  grid: { columns: number; row: number },
  count: number,
): { first: number; last: number } {
  const from = Math.max(0, Math.floor(scroll.top / grid.row) - 1);
  const to = Math.ceil((scroll.top + scroll.height) / grid.row) + 1;
  return {
    first: Math.min(count, from * grid.columns),
    last: Math.min(count, to * grid.columns),
  };
}

/** What of a range is not here yet, from the first cell that lacks to the last; null: nothing. */
export function wanted(
  cells: CellCache,
  layer: number,
  { first, last }: { first: number; last: number },
): AtlasRange | null {
  const lacks = (neuron: number) => cells.get(layer, neuron) === undefined;
  let [from, to] = [first, last];
  while (from < to && !lacks(from)) from++;
  while (to > from && !lacks(to - 1)) to--;
  return to > from ? { layer, first: from, count: to - from } : null;
}
