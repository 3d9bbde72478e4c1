// Smooth enlargement that keeps the value at the centre of each patch (Catmull-Rom, clamped).
import { LAST_CODE, NO_VALUE } from "./wire";

/** Levels of a picture of `width` x `height`; cells without a value count as zero. */
export function upsample(
  levels: Uint8Array,
  rows: number,
  cols: number,
  width: number,
  height: number,
): Uint8Array {
  const across = taps(cols, width);
  const down = taps(rows, height);
  const lines = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const start = row * cols;
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k < 4; k++) {
        const level = levels[start + across.index[x * 4 + k]];
        if (level !== NO_VALUE) sum += level * across.weight[x * 4 + k];
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
      smooth[y * width + x] = sum <= 0 ? 0 : sum >= LAST_CODE ? LAST_CODE : sum + 0.5;
    }
  }
  return smooth;
}

/** For each of `size` pixels the four cells that it blends, and how much of each. */
function taps(cells: number, size: number): { index: Int32Array; weight: Float32Array } {
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
