// A filter of the patch embedding times the pixels of each patch, times how much of that patch a token
// has: multiplied and painted in the page, so that another filter or layer asks nobody.
import { pixelTable, SIGNED } from "./colormap";
import type { Display, Whole } from "./views";
import { unpack, ZERO_CODE } from "./wire";

/** Values (channel, row, col) that can be sliced by their first axis before they are read. */
export interface Planes {
  channels: number;
  rows: number;
  cols: number;
  values: Float32Array;
}

/** One slice of an array that travelled flat. */
export function slice(packed: Whole, index: number): Planes {
  const { value, length } = unpack(packed);
  const [channels, rows, cols] = packed.whole.slice(1);
  const values = Float32Array.from({ length }, (_, i) => value(index, i));
  return { channels, rows, cols, values };
}

/** All of an image: its slices are the channels. */
export function planes(packed: Whole): Planes {
  const { value, length } = unpack(packed);
  const [channels, rows, cols] = packed.whole;
  const values = new Float32Array(channels * length);
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < length; i++) values[c * length + i] = value(c, i);
  return { channels, rows, cols, values };
}

/**
 * What is drawn, as square roots of magnitudes with their signs: a weight then costs one product a
 * pixel, and small values are seen.
 */
export interface Field {
  rows: number;
  cols: number;
  /** Pixels of one patch. */
  down: number;
  across: number;
  /** Whether it is the sum over the channels; if not, channels whose negative values are 0. */
  signed: boolean;
  planes: readonly Float32Array[];
  /** The largest magnitude of each patch, no root of it. */
  peaks: Float32Array;
}

type Grid = Pick<Field, "rows" | "cols" | "down" | "across" | "signed">;

/** A filter, pixel by pixel on every patch of an image: the views at level 0, side by side. */
export function product(filter: Planes, image: Planes, display: Display): Field {
  const { rows: down, cols: across } = filter;
  const [rows, cols] = [Math.floor(image.rows / down), Math.floor(image.cols / across)];
  const width = cols * across;
  const sums = display === "signed";
  // of more channels than three the first are shown
  const count = sums ? filter.channels : Math.min(3, filter.channels);
  const made = Array.from(
    { length: sums ? 1 : count },
    () => new Float32Array(rows * down * width),
  );
  for (let c = 0; c < count; c++) {
    const plane = made[sums ? 0 : c];
    for (let y = 0, i = 0; y < rows * down; y++) {
      const kernel = (c * down + (y % down)) * across;
      let from = (c * image.rows + y) * image.cols;
      for (let col = 0; col < cols; col++)
        for (let k = kernel; k < kernel + across; k++, i++, from++)
          plane[i] += image.values[from] * filter.values[k];
    }
  }
  return fieldOf(made, { rows, cols, down, across, signed: sums });
}

/** A filter itself: its product with a patch of ones. */
export function kernel(filter: Planes, display: Display): Field {
  const values = new Float32Array(filter.values.length).fill(1);
  return product(filter, { ...filter, values }, display);
}

/** Notes the peaks and takes the roots. */
function fieldOf(made: Float32Array[], grid: Grid): Field {
  const { cols, down, across, signed } = grid;
  const width = cols * across;
  const peaks = new Float32Array(grid.rows * cols);
  for (const plane of made)
    for (let patch = 0; patch < peaks.length; patch++) {
      const start = Math.floor(patch / cols) * down * width + (patch % cols) * across;
      let peak = peaks[patch];
      for (let y = 0; y < down; y++)
        for (let i = start + y * width; i < start + y * width + across; i++) {
          const value = plane[i];
          const size = value < 0 ? (signed ? -value : 0) : value;
          if (size > peak) peak = size;
          plane[i] = value < 0 ? -Math.sqrt(size) : Math.sqrt(size);
        }
      peaks[patch] = peak;
    }
  return { ...grid, planes: made, peaks };
}

/** One patch of a field. */
export function patchOf(field: Field, row: number, col: number): Field {
  const { down, across, cols } = field;
  const planes = field.planes.map((all) => {
    const part = new Float32Array(down * across);
    for (let y = 0; y < down; y++) {
      const from = (row * down + y) * cols * across + col * across;
      part.set(all.subarray(from, from + across), y * across);
    }
    return part;
  });
  const peaks = Float32Array.of(field.peaks[row * cols + col]);
  return { ...field, rows: 1, cols: 1, planes, peaks };
}

/** The value that the strongest colour stands for, of a field whose patches are weighed. */
export function scaleOf({ peaks }: Field, weights: ArrayLike<number> | null): number {
  let scale = 0;
  for (let i = 0; i < peaks.length; i++)
    scale = Math.max(scale, peaks[i] * (weights ? weights[i] : 1));
  return scale;
}

const table = /* @__PURE__ */ pixelTable(SIGNED);
const OPAQUE = 0xff000000;

/**
 * Paints a field, its patches weighed, into pixels (32 bits each, little-endian). No value may be
 * larger than `scale`.
 */
export function paintField(
  into: Uint32Array,
  field: Field,
  weights: ArrayLike<number> | null,
  scale: number,
): void {
  const { cols, down, across, planes, signed } = field;
  const width = cols * across;
  const [red, green = red, blue = green] = planes; // one channel alone is grey
  for (let patch = 0; patch < field.peaks.length; patch++) {
    const factor = scale > 0 ? Math.sqrt((weights ? weights[patch] : 1) / scale) : 0;
    const most = factor * (signed ? ZERO_CODE : 255);
    const start = Math.floor(patch / cols) * down * width + (patch % cols) * across;
    for (let y = 0; y < down; y++) {
      const end = start + y * width + across;
      if (signed)
        for (let i = end - across; i < end; i++)
          into[i] = table[(red[i] * most + ZERO_CODE + 0.5) | 0];
      else
        for (let i = end - across; i < end; i++)
          into[i] =
            OPAQUE |
            ((blue[i] * most + 0.5) << 16) |
            ((green[i] * most + 0.5) << 8) |
            (red[i] * most + 0.5);
    }
  }
}
