// In which order heads stand: what is most particular comes first.
import { largest } from "./heat";
import { type Layer, statistic } from "./packet";
import type { Sort } from "./state";

/** Heads sorted by focus (low entropy), by nearness (low distance), or by their maximum (high). */
export function orderHeads(layer: Layer, row: number, sort: Sort): number[] {
  const heads = Array.from({ length: layer.heads }, (_, head) => head);
  if (sort === "head") return heads;
  const keys = heads.map((head) =>
    sort === "maximum" ? -largest(layer, row, head) : statistic(layer, sort, row, [head]),
  );
  const last = (key: number) => (Number.isNaN(key) ? Number.POSITIVE_INFINITY : key);
  return heads.sort((a, b) => compare(last(keys[a]), last(keys[b])) || a - b);
}

function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
