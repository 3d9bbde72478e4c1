// Where tokens are on the image. Grids need not be square, patches need not be whole pixels, and
// layers need not share a grid (the other side: place_of in widgets/maps.py).

export interface Grid {
  rows: number;
  cols: number;
  /** How many tokens come before the patches (class, distillation, registers). */
  prefix: number;
}

/** What is covered of the picture, in fractions of its height and width. */
export interface Extent {
  top: number;
  left: number;
  bottom: number;
  right: number;
}

export const WHOLE: Extent = { top: 0, left: 0, bottom: 1, right: 1 };

/** Tokens with names and places: those of a map, of what asks, or of the selection. */
export interface Axis extends Grid {
  names: readonly string[];
  extent: Extent;
}

/** What a selection counts on, and what of a layer answers for it. */
export interface Tokens {
  reference: Axis;
  asked: Axis;
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

/** A centre on the line between two patches belongs to the later one, on any machine. */
const TIE = 1e-9;

/** The patch of a token; null for prefix tokens and for tokens that the grid does not hold. */
export function placeOf(token: number, grid: Grid): Place | null {
  const patch = token - grid.prefix;
  if (patch < 0 || patch >= grid.rows * grid.cols) return null;
  return { row: Math.floor(patch / grid.cols), col: patch % grid.cols };
}

export function tokenAt(place: Place, grid: Grid): number {
  return grid.prefix + place.row * grid.cols + place.col;
}

/** The patch under a point, in fractions of the picture; null where there is none. */
export function placeAt(
  x: number,
  y: number,
  { rows, cols, extent }: Pick<Axis, "rows" | "cols" | "extent">,
): Place | null {
  const { top, left, bottom, right } = extent;
  const col = Math.floor(((x - left) / (right - left)) * cols + TIE);
  const row = Math.floor(((y - top) / (bottom - top)) * rows + TIE);
  return row >= 0 && col >= 0 && row < rows && col < cols ? { row, col } : null;
}

/** A patch in fractions of the picture, or of the part of it that is shown. */
export function boxOf(place: Place, axis: Axis, part: Extent = WHOLE): Box {
  const { top, left, bottom, right } = axis.extent;
  const [width, height] = [(right - left) / axis.cols, (bottom - top) / axis.rows];
  const cell = {
    top: top + place.row * height,
    left: left + place.col * width,
    bottom: top + (place.row + 1) * height,
    right: left + (place.col + 1) * width,
  };
  return within(cell, part);
}

/** An extent in fractions of another. */
export function within(extent: Extent, part: Extent): Box {
  const [width, height] = [part.right - part.left, part.bottom - part.top];
  return {
    x: (extent.left - part.left) / width,
    y: (extent.top - part.top) / height,
    width: (extent.right - extent.left) / width,
    height: (extent.bottom - extent.top) / height,
  };
}

/** Fractions of a box, in its own unit. */
export function scaled(part: Box, box: Box): Box {
  return {
    x: box.x + part.x * box.width,
    y: box.y + part.y * box.height,
    width: part.width * box.width,
    height: part.height * box.height,
  };
}

/** The patches on the way from one to another, both of them among these: none is skipped. */
export function placesBetween(from: Place, to: Place): Place[] {
  const [down, across] = [to.row - from.row, to.col - from.col];
  const steps = Math.max(Math.abs(down), Math.abs(across));
  return Array.from({ length: steps + 1 }, (_, step) => ({
    row: Math.round(from.row + (down * step) / (steps || 1)),
    col: Math.round(from.col + (across * step) / (steps || 1)),
  }));
}

/** The patch of a layer that answers for a token of the selection: the one that holds its centre. */
export function placeIn(token: number, { reference, asked }: Tokens): Place | null {
  const place = placeOf(token, reference);
  return place && holding(place, reference, asked);
}

/** The token that selects a patch of a layer: the one under its centre. */
export function tokenUnder(place: Place, { reference, asked }: Tokens): number | null {
  const under = holding(place, asked, reference);
  return under && tokenAt(under, reference);
}

/** The patch of another axis that holds the centre of one. */
export function holding(place: Place, from: Axis, to: Axis): Place | null {
  const { x, y, width, height } = boxOf(place, from);
  return placeAt(x + width / 2, y + height / 2, to);
}

/** Whether two axes are of the same tokens. */
export function sameAxis(a: Axis, b: Axis): boolean {
  return (
    a === b ||
    (a.rows === b.rows &&
      a.cols === b.cols &&
      a.names.join("\n") === b.names.join("\n") &&
      (["top", "left", "bottom", "right"] as const).every(
        (side) => a.extent[side] === b.extent[side],
      ))
  );
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
