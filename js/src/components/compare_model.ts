// What a comparison of maps holds, read once, and which of the maps is chosen.
import {
  axisOf,
  type ComparedMap,
  type ComparedRow,
  columnOf,
  type MethodScale,
  type ReadMap,
  readMap,
  rowAt,
  scaleOf,
} from "../lib/comparison";
import { plain } from "../lib/format";
import type { Tokens } from "../lib/geometry";
import type { CompareMapsState } from "../lib/state";
import { isPacked } from "../lib/wire";
import { type Photo, photoCache } from "./photo";
import type { View } from "./view";

export interface Comparison {
  rows(): readonly ComparedRow[];
  methods(): readonly string[];
  /** Of a row and a column; null where there is no map. */
  map(row: number, column: number): ReadMap | null;
  scale(column: number): MethodScale;
  photo(row: number): Photo | null;
  /** A column and a row in words. */
  method(column: number): string;
  name(row: number): string;
  /** What is chosen: -1 where there is no such row, or no such method. */
  row(): number;
  column(): number;
  /** What is said of the map that is chosen. */
  said(): ComparedMap | null;
  /** What the selection counts on, and the patches of the map that is chosen. */
  tokens(): Tokens | null;
}

export function comparisonOf({ store }: View<CompareMapsState>): Comparison {
  const photoOf = photoCache();
  let read: ComparedRow[] | null = null;
  let maps: (ReadMap | null)[][] = [];
  let scales: MethodScale[] = [];

  function rows(): ComparedRow[] {
    const now = store.get("compare_rows");
    if (now === read) return now;
    read = now;
    maps = now.map((row) => row.maps.map((map) => readMap(map, row)));
    const columns = Math.max(0, ...maps.map((row) => row.length));
    scales = Array.from({ length: columns }, (_, column) =>
      scaleOf(maps.map((row) => row[column] ?? null)),
    );
    return now;
  }
  function row(): number {
    const [image, model] = [store.get("image_index"), store.get("compare_model")];
    const at = rowAt(rows(), image, model);
    return at >= 0 ? at : rows().findIndex((one) => one.image_index === image);
  }
  const column = () => columnOf(store.get("compare_methods"), store.get("attribution_method"));
  const map = (at: number, of: number) => (rows() && maps[at]?.[of]) ?? null;
  function tokens(): Tokens | null {
    const chosen = rows()[row()];
    const asked = chosen && (map(row(), column())?.patches ?? axisOf(chosen.axis));
    if (!asked) return null;
    const [first] = rows()
      .filter((one) => one.image_index === chosen.image_index)
      .flatMap((one) => axisOf(one.axis) ?? []);
    return { asked, reference: first ?? asked };
  }
  return {
    rows,
    methods: () => store.get("compare_methods"),
    map,
    scale: (of) => (rows() && scales[of]) ?? { signed: false, most: 0 },
    photo(at) {
      const picture = rows()[at]?.picture;
      return photoOf(isPacked(picture) ? picture : null);
    },
    method(of) {
      const name = store.get("compare_methods")[of] ?? "";
      return store.get("compare_words")[name] ?? name;
    },
    name(at) {
      const one = rows()[at];
      if (!one) return "";
      const image = store.get("image_names")[one.image_index] ?? `image ${one.image_index}`;
      const model = store.get("compare_models")[one.model];
      return model === undefined ? image : `${image}, ${model}`;
    },
    row,
    column,
    said: () => rows()[row()]?.maps[column()] ?? null,
    tokens,
  };
}

/** A value of a map, to three digits. */
export function numberWords(value: number): string {
  return plain(value).replace("-", "−");
}

/** By which rule maps are drawn. */
export function ruleWords({ store }: View<CompareMapsState>, found: Comparison): string {
  const against =
    store.get("compare_scale") === "per method"
      ? "all maps of a method against the largest magnitude among them"
      : "each map against its own largest magnitude";
  const signed = found.methods().some((_, column) => found.scale(column).signed);
  const signs = signed ? "; of both signs blue against, red for, zero between" : "";
  return `√ scale; ${against}${signs}. Methods have no unit in common.`;
}
