// Maps beside each other: a row for each picture and model, a column for each method (Python's half:
// widgets/compare_maps.py).
import { type Axis, holding, type Place, WHOLE } from "./geometry";
import { type Heat, heatOf } from "./heat";
import type { None } from "./neuron";
import { type RawAxis, readAxis } from "./packet";
import { isPacked, type MaybePacked, unpack } from "./wire";

export type CompareScale = "per map" | "per method";

export type ComparedMap = {
  values: MaybePacked;
  /** Empty: over the whole picture. */
  axis: RawAxis | None;
  target: string;
  /** How faithful it was measured to be: the area between LeRF and MoRF. */
  area: number | null;
  note: string;
};

export type ComparedRow = {
  image_index: number;
  model: number;
  picture: MaybePacked;
  /** The model's patches; empty: not known. */
  axis: RawAxis | None;
  note: string;
  maps: ComparedMap[];
};

/** A mean, the ends of its 95 % interval, and of how many pictures; null where there is none. */
export type Mean = [mean: number | null, low: number | null, high: number | null, pictures: number];

export type ComparedMeans = { model: number; means: Mean[]; random: Mean };

export type CompareTraits = {
  compare_models: string[];
  compare_methods: string[];
  compare_words: Record<string, string>;
  compare_rows: ComparedRow[];
  compare_means: ComparedMeans[];
  compare_model: number;
  attribution_method: string;
  compare_scale: CompareScale;
};

export const compareTraits: CompareTraits = {
  compare_models: [],
  compare_methods: [],
  compare_words: {},
  compare_rows: [],
  compare_means: [],
  compare_model: 0,
  attribution_method: "",
  compare_scale: "per map",
};

/** A map as it is drawn and read. */
export interface ReadMap {
  values: Float32Array;
  axis: Axis;
  /** What a number is of: the map's own patches, or the model's where the map is finer. */
  patches: Axis;
  /** Whether its values were averaged over patches that are named. */
  finer: boolean;
}

/** Null where there is no map. */
export function readMap(map: ComparedMap | undefined, row: ComparedRow): ReadMap | null {
  if (!map || !isPacked(map.values)) return null;
  const { codes, shape } = unpack(map.values);
  const [rows, cols] = shape;
  const whole: Axis = { rows, cols, prefix: 0, names: [], extent: WHOLE };
  const axis = axisOf(map.axis) ?? whole;
  const own = axisOf(row.axis);
  const finer = own !== null && axis.rows * axis.cols > own.rows * own.cols;
  return { values: codes as Float32Array, axis, patches: finer ? own : axis, finer };
}

export function axisOf(raw: RawAxis | None): Axis | null {
  return "grid" in raw ? readAxis(raw as RawAxis) : null;
}

/** The largest magnitude of a map; 0 without a value. */
export function largestOf({ values }: ReadMap): number {
  let most = 0;
  for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
  return most;
}

/** How the maps of a method are drawn: whether any has both signs, and the largest magnitude. */
export interface MethodScale {
  signed: boolean;
  most: number;
}

export function scaleOf(maps: readonly (ReadMap | null)[]): MethodScale {
  const known = maps.filter((map) => map !== null);
  return {
    signed: known.some(({ values }) => values.some((value) => value < 0)),
    most: Math.max(0, ...known.map(largestOf)),
  };
}

/** On its own scale, or on that of all maps of the method. */
export function comparedHeat(map: ReadMap, method: MethodScale, scale: CompareScale): Heat {
  const { rows, cols } = map.axis;
  const most = scale === "per method" ? method.most : largestOf(map);
  return heatOf({ rows, cols, signed: method.signed }, map.values, most);
}

/** Which values of a map belong to a patch of another axis, 1 each; where it is coarser, the one. */
export function cellsUnder(place: Place, from: Axis, { rows, cols, extent }: Axis): Uint8Array {
  const marks = new Uint8Array(rows * cols);
  const to: Axis = { rows, cols, prefix: 0, names: [], extent };
  let some = false;
  for (let row = 0; row < rows; row++)
    for (let col = 0; col < cols; col++) {
      const there = holding({ row, col }, to, from);
      if (there?.row !== place.row || there.col !== place.col) continue;
      marks[row * cols + col] = 1;
      some = true;
    }
  const one = some ? null : holding(place, from, to);
  if (one) marks[one.row * cols + one.col] = 1;
  return marks;
}

/** The mean of a map over a patch of its own `patches`; NaN where it has no value. */
export function numberAt(map: ReadMap, place: Place): number {
  if (!map.finer) return map.values[place.row * map.axis.cols + place.col] ?? Number.NaN;
  const marks = cellsUnder(place, map.patches, map.axis);
  let [sum, count] = [0, 0];
  marks.forEach((mark, i) => {
    if (!mark || Number.isNaN(map.values[i])) return;
    sum += map.values[i];
    count += 1;
  });
  return count > 0 ? sum / count : Number.NaN;
}

/** "0.41", or with its interval "0.41 [0.37, 0.45]"; "–" where nothing was measured. */
export function meanWords([mean, low, high]: Mean): string {
  if (mean === null) return "–";
  return low === null || high === null ? two(mean) : `${two(mean)} [${two(low)}, ${two(high)}]`;
}

export function two(number: number): string {
  return number.toFixed(2).replace("-", "−");
}

/** The row of a picture and a model; -1 where there is none. */
export function rowAt(rows: readonly ComparedRow[], image: number, model: number): number {
  return rows.findIndex((row) => row.image_index === image && row.model === model);
}

/** The column of a method: the first where none is named, -1 where it is not among them. */
export function columnOf(methods: readonly string[], method: string): number {
  return method === "" ? 0 : methods.indexOf(method);
}
