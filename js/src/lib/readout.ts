// The selection read back in words and exact numbers.
import type { Attention, Shown } from "./attention";
import { capital, listing, roughWeight, tokenName, weight } from "./format";
import { placeOf, tokenAt } from "./geometry";
import { valuesOf } from "./heat";
import type { ImageLayer } from "./packet";

export interface Readout {
  layer: string;
  heads: string;
  /** "patch (5, 4)", "class token" */
  query: string;
  /** From the query to what it attends to, or back. */
  arrow: "→" | "←";
  /** "(7, 9)": the cell under the pointer, the query itself, or the largest. */
  target: string;
  value: string;
  /** What else is known: token index, that it is the largest, that it is a mean. */
  more: string;
}

export function readout(attention: Attention, pointed: number | null): Readout | null {
  const shown = attention.shown();
  if (!shown?.layer) return null;
  const { layer, picture, heads } = shown;
  const arrow = picture.packet.direction === "attended by" ? "←" : "→";
  const common = {
    layer: String(shown.layerIndex),
    heads: listing(heads),
    arrow,
  } as const;
  const mean = heads.length > 1 ? "mean of heads" : "";
  if (layer.kind === "matrix") {
    if (pointed === null)
      return { ...common, query: "a matrix", target: "", value: "", more: mean };
    const [row, col] = [Math.floor(pointed / layer.cols), pointed % layer.cols];
    const value = cellValue(attention, shown, pointed);
    return {
      ...common,
      query: `query ${row}`,
      target: `key ${col}`,
      value,
      more: mean,
      arrow: "→",
    };
  }
  const query = picture.packet.queries ? tokenName(picture.query, layer) : "map at";
  const { cell, why } = targetCell(shown, layer, pointed);
  const place = { row: Math.floor(cell / layer.cols), col: cell % layer.cols };
  const token = `token ${tokenAt(place, layer)}`;
  return {
    ...common,
    query,
    target: `(${place.row}, ${place.col})`,
    value: cellValue(attention, shown, cell),
    more: [why, token, mean].filter(Boolean).join(" · "),
  };
}

/** The cell to read: under the pointer, else the query's own, else the largest. */
function targetCell(
  shown: Shown,
  layer: ImageLayer,
  pointed: number | null,
): { cell: number; why: string } {
  if (pointed !== null && pointed < layer.rows * layer.cols) return { cell: pointed, why: "" };
  const { picture } = shown;
  const own = picture.packet.queries ? placeOf(picture.query, layer) : null;
  if (own) return { cell: own.row * layer.cols + own.col, why: "itself" };
  const values = valuesOf(layer, shown.picture.row, shown.heads);
  let cell = 0;
  values.forEach((value, i) => {
    if (value > values[cell] || Number.isNaN(values[cell])) cell = i;
  });
  return { cell, why: "largest" };
}

/** Exact where Python has sent it, else what 8 bits kept. */
export function cellValue(attention: Attention, shown: Shown, cell: number): string {
  const exact = attention.exact(shown, cell);
  if (exact !== null) return Number.isNaN(exact) ? "cannot be seen from here" : weight(exact);
  const rough = roughCell(shown, cell);
  return Number.isNaN(rough) ? "cannot be seen from here" : roughWeight(rough);
}

function roughCell(shown: Shown, cell: number): number {
  const { layer, picture, heads } = shown;
  if (!layer) return Number.NaN;
  const map = (head: number) => (layer.kind === "matrix" ? head : picture.row * layer.heads + head);
  return heads.reduce((sum, head) => sum + layer.cells.value(map(head), cell), 0) / heads.length;
}

export function sentence(read: Readout): string {
  const heads = read.more.includes("mean of heads") ? "heads" : "head";
  const target = [read.arrow, read.target, read.value].filter(Boolean).join(" ");
  return capital(`layer ${read.layer}, ${heads} ${read.heads}, ${read.query} ${target}`);
}
