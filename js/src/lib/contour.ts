// The outline of the smallest set of patches that holds a given share of the weight.

/** Marks (1) the fewest cells whose values add up to at least `share` of the sum. */
export function smallestSet(values: ArrayLike<number>, share: number): Uint8Array {
  const mask = new Uint8Array(values.length);
  const order: number[] = [];
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    if (values[i] > 0) {
      order.push(i);
      total += values[i];
    }
  }
  if (share <= 0 || total === 0) return mask;
  order.sort((a, b) => values[b] - values[a]);
  let held = 0;
  for (const i of order) {
    mask[i] = 1;
    held += values[i];
    if (held >= share * total * (1 - 1e-9)) break;
  }
  return mask;
}

/** A horizontal or vertical line between corners of cells. */
export type Segment = readonly [x0: number, y0: number, x1: number, y1: number];

/** The border between marked and unmarked cells (the outside counts as unmarked), runs merged. */
export function outline(mask: ArrayLike<number>, rows: number, cols: number): Segment[] {
  const marked = (row: number, col: number) =>
    row >= 0 && col >= 0 && row < rows && col < cols && mask[row * cols + col] === 1;
  const segments: Segment[] = [];
  for (let y = 0; y <= rows; y++) {
    collect(cols, (x) => marked(y - 1, x) !== marked(y, x)).forEach(([a, b]) => {
      segments.push([a, y, b, y]);
    });
  }
  for (let x = 0; x <= cols; x++) {
    collect(rows, (y) => marked(y, x - 1) !== marked(y, x)).forEach(([a, b]) => {
      segments.push([x, a, x, b]);
    });
  }
  return segments;
}

/** Runs [start, end) of positions for which the test holds. */
function collect(count: number, test: (i: number) => boolean): [number, number][] {
  const runs: [number, number][] = [];
  let start = -1;
  for (let i = 0; i <= count; i++) {
    const inside = i < count && test(i);
    if (inside && start < 0) start = i;
    if (!inside && start >= 0) {
      runs.push([start, i]);
      start = -1;
    }
  }
  return runs;
}
