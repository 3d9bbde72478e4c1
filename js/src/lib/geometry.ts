// Where tokens are on the image. Grids need not be square, and patches need not be whole pixels.

export interface Grid {
  rows: number;
  cols: number;
  /** How many tokens come before the patches (class, distillation, registers). */
  prefix: number;
}

export interface Place {
  row: number;
  col: number;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** The patch of a token; null for prefix tokens and for tokens that the grid does not hold. */
export function placeOf(token: number, grid: Grid): Place | null {
  const patch = token - grid.prefix;
  if (patch < 0 || patch >= grid.rows * grid.cols) return null;
  return { row: Math.floor(patch / grid.cols), col: patch % grid.cols };
}

export function tokenAt(place: Place, grid: Grid): number {
  return grid.prefix + place.row * grid.cols + place.col;
}

/** The pixels of a patch on a picture of the whole image. */
export function boxOf(place: Place, grid: Grid, width: number, height: number): Box {
  const x = (place.col * width) / grid.cols;
  const y = (place.row * height) / grid.rows;
  return { x, y, width: width / grid.cols, height: height / grid.rows };
}

/** The patch under a point of the picture; null outside. */
export function placeAt(
  x: number,
  y: number,
  grid: Grid,
  width: number,
  height: number,
): Place | null {
  const col = Math.floor((x / width) * grid.cols);
  const row = Math.floor((y / height) * grid.rows);
  return row >= 0 && col >= 0 && row < grid.rows && col < grid.cols ? { row, col } : null;
}

/** The nearest valid index; 0 when there is none. */
export function clampIndex(index: number, count: number): number {
  return Math.max(0, Math.min(count - 1, Math.trunc(index) || 0));
}

/** The largest box of the given proportions inside another. */
export function fit(
  aspect: number,
  width: number,
  height: number,
): { width: number; height: number } {
  return width / height > aspect
    ? { width: height * aspect, height }
    : { width, height: width / aspect };
}
