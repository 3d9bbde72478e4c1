// How activations are drawn: straight from the smallest to the largest value, which is always said.
import type { Heat } from "./heat";
import { LAST_CODE, NO_VALUE } from "./wire";

export interface Range {
  low: number;
  high: number;
}

/** The smallest and largest of some values; from 0 to 0 where there are none. */
export function rangeOf(values: ArrayLike<number>): Range {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  return low <= high ? { low, high } : { low: 0, high: 0 };
}

/** A map on a scale; where the scale has no length, everything is its lowest colour. */
export function heatOf(
  values: ArrayLike<number>,
  rows: number,
  cols: number,
  { low, high }: Range,
): Heat {
  const levels = new Uint8Array(rows * cols);
  const factor = high > low ? LAST_CODE / (high - low) : 0;
  for (let i = 0; i < levels.length; i++) {
    const level = Math.round((values[i] - low) * factor);
    levels[i] = Number.isNaN(values[i]) ? NO_VALUE : Math.max(0, Math.min(LAST_CODE, level));
  }
  return { rows, cols, levels, maximum: high, signed: false };
}

export function meanOf(values: ArrayLike<number>): number {
  let [sum, count] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue;
    sum += values[i];
    count++;
  }
  return count > 0 ? sum / count : Number.NaN;
}

/** How opaque a value is: the image shows through all but the highest, where they are straight. */
export function fade(size: number): number {
  return size * size;
}
