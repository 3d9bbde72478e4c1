// From codes to what is painted: levels 0..254 on a square-root scale, 255 where there is no value.
// Levels of signed maps are the same to both sides of 127.
import { type Layer, mapIndex } from "./packet";
import { LAST_CODE, NO_VALUE, ZERO_CODE } from "./wire";

export interface Heat {
  rows: number;
  cols: number;
  levels: Uint8Array;
  /** The value that the highest level stands for. */
  maximum: number;
  signed: boolean;
}

/** The largest magnitude of one map; its scale where the packet does not say. */
export function largest(layer: Layer, row: number, head: number): number {
  const map = mapIndex(layer, row, head);
  const value = layer.maximum?.codes[map];
  return value === undefined || Number.isNaN(value) ? layer.cells.scale(map) : value;
}

/** One head; on its own scale unless `shared` names the value of the highest level. */
export function headHeat(layer: Layer, row: number, head: number, shared?: number): Heat {
  const { rows, cols, cells, signed } = layer;
  const map = mapIndex(layer, row, head);
  const maximum = shared ?? largest(layer, row, head);
  if (!cells.quantised) return heatOf(layer, valuesOf(layer, row, [head]), maximum);
  const codes = cells.codes.subarray(map * cells.length, (map + 1) * cells.length) as Uint8Array;
  if (shared === undefined) return { rows, cols, levels: codes, maximum, signed };
  const factor = shared > 0 ? Math.sqrt(cells.scale(map) / shared) : 0;
  const zero = signed ? ZERO_CODE : 0;
  const levels = new Uint8Array(codes.length);
  for (let i = 0; i < codes.length; i++)
    levels[i] = codes[i] === NO_VALUE ? NO_VALUE : level(zero + (codes[i] - zero) * factor);
  return { rows, cols, levels, maximum, signed };
}

/** The nearest level that is one. */
function level(number: number): number {
  return Math.max(0, Math.min(LAST_CODE, number + 0.5));
}

/** The mean over several heads; the head itself where there is one. */
export function meanHeat(layer: Layer, row: number, heads: readonly number[]): Heat {
  if (heads.length === 1) return headHeat(layer, row, heads[0]);
  const values = valuesOf(layer, row, heads);
  let maximum = 0;
  for (const value of values) if (Math.abs(value) > maximum) maximum = Math.abs(value);
  return heatOf(layer, values, maximum);
}

/** Values on a square-root scale, up to a magnitude. */
export function heatOf(
  { rows, cols, signed }: Pick<Heat, "rows" | "cols" | "signed">,
  values: Float32Array,
  maximum: number,
): Heat {
  const zero = signed ? ZERO_CODE : 0;
  const levels = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const part = maximum > 0 ? values[i] / maximum : 0;
    if (Number.isNaN(values[i])) levels[i] = NO_VALUE;
    else levels[i] = level(zero + Math.sign(part) * Math.sqrt(Math.abs(part)) * (LAST_CODE - zero));
  }
  return { rows, cols, levels, maximum, signed };
}

/** Values of all cells, averaged over heads. */
export function valuesOf(layer: Layer, row: number, heads: readonly number[]): Float32Array {
  const { cells } = layer;
  const values = new Float32Array(cells.length);
  for (const head of heads) {
    const map = mapIndex(layer, row, head);
    for (let i = 0; i < values.length; i++) values[i] += cells.value(map, i);
  }
  if (heads.length > 1) for (let i = 0; i < values.length; i++) values[i] /= heads.length;
  return values;
}
