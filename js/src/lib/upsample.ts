// Smooth enlargement that keeps the value at the centre of each patch (Catmull-Rom, clamped).
import { LAST_CODE, NO_VALUE } from "./wire";

/** Levels of a picture of `width` x `height`; cells without a value stay so, and bleed nowhere. */
export function upsample(
  levels: Uint8Array,
  rows: number,
  cols: number,
  width: number,
  height: number,
): Uint8Array {
  const across = taps(cols, width);
  const down = taps(rows, height);
  if (levels.includes(NO_VALUE)) return upsampleKnown(levels, rows, cols, across, down);
  const lines = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const start = row * cols;
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k < 4; k++) {
        sum += levels[start + across.index[x * 4 + k]] * across.weight[x * 4 + k];
      }
      lines[row * width + x] = sum;
    }
  }
  const smooth = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const t = y * 4;
    const [a, b, c, d] = [0, 1, 2, 3].map((k) => down.index[t + k] * width);
    const [wa, wb, wc, wd] = [0, 1, 2, 3].map((k) => down.weight[t + k]);
    for (let x = 0; x < width; x++) {
      const sum = lines[a + x] * wa + lines[b + x] * wb + lines[c + x] * wc + lines[d + x] * wd;
      smooth[y * width + x] = clamped(sum);
    }
  }
  return smooth;
}

function clamped(sum: number): number {
  return sum <= 0 ? 0 : sum >= LAST_CODE ? LAST_CODE : sum + 0.5;
}

/** Where cells are missing, a pixel continues the cell that it lies in, as it does at the border. */
function upsampleKnown(
  levels: Uint8Array,
  rows: number,
  cols: number,
  across: Taps,
  down: Taps,
): Uint8Array {
  const [width, height] = [across.index.length / 4, down.index.length / 4];
  const smooth = new Uint8Array(width * height).fill(NO_VALUE);
  for (let y = 0; y < height; y++) {
    const start = Math.floor(((y + 0.5) * rows) / height) * cols;
    for (let x = 0; x < width; x++) {
      const own = levels[start + Math.floor(((x + 0.5) * cols) / width)];
      if (own === NO_VALUE) continue;
      let sum = 0;
      for (let j = y * 4; j < y * 4 + 4; j++) {
        for (let k = x * 4; k < x * 4 + 4; k++) {
          const level = levels[down.index[j] * cols + across.index[k]];
          sum += (level === NO_VALUE ? own : level) * down.weight[j] * across.weight[k];
        }
      }
      smooth[y * width + x] = clamped(sum);
    }
  }
  return smooth;
}

interface Taps {
  index: Int32Array;
  weight: Float32Array;
}

/** For each of `size` pixels the four cells that it blends, and how much of each. */
function taps(cells: number, size: number): Taps {
  const index = new Int32Array(size * 4);
  const weight = new Float32Array(size * 4);
  for (let i = 0; i < size; i++) {
    const at = ((i + 0.5) * cells) / size - 0.5;
    const first = Math.floor(at);
    const t = at - first;
    const weights = [
      ((-t + 2) * t - 1) * t * 0.5,
      ((3 * t - 5) * t * t + 2) * 0.5,
      ((-3 * t + 4) * t + 1) * t * 0.5,
      (t - 1) * t * t * 0.5,
    ];
    for (let k = 0; k < 4; k++) {
      index[i * 4 + k] = Math.max(0, Math.min(cells - 1, first - 1 + k));
      weight[i * 4 + k] = weights[k];
    }
  }
  return { index, weight };
}
