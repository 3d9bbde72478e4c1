// The selection read back in words and exact numbers.
import type { Attention, Shown } from "./attention";
import { capital, listing, oneOf, roughWeight, tokenName, weight } from "./format";
import { placeIn, sameAxis, tokenAt } from "./geometry";
import { valuesOf } from "./heat";
import { hasRow, type ImageLayer, mapIndex } from "./packet";

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
  const mean = heads.length > 1 ? "mean of heads" : "";
  const common = {
    layer: String(shown.layerIndex),
    heads: listing(heads),
    arrow: "→",
    target: "",
    value: "",
    more: mean,
  } as const;
  if (layer.kind === "matrix") {
    if (pointed === null) return { ...common, query: "a matrix" };
    const [row, col] = [Math.floor(pointed / layer.cols), pointed % layer.cols];
    const value = cellValue(attention, shown, pointed);
    const [down, across] = layer.axes.map(oneOf);
    return { ...common, query: `${down} ${row}`, target: `${across} ${col}`, value };
  }
  const query = queryName(shown) || "map at";
  if (!hasRow(layer, picture.row)) return { ...common, query, value: "is not part of this layer" };
  const { cell, why } = targetCell(shown, layer, pointed);
  const place = { row: Math.floor(cell / layer.cols), col: cell % layer.cols };
  // an index that can be given to `query`
  const token = sameAxis(layer, layer.reference) ? `token ${tokenAt(place, layer)}` : "";
  return {
    ...common,
    query,
    arrow: picture.packet.direction === "attended by" ? "←" : "→",
    target: `(${place.row}, ${place.col})`,
    value: cellValue(attention, shown, cell),
    more: [why, token, mean].filter(Boolean).join(" · "),
  };
}

/** "patch (5, 4)", "class token"; nothing for maps that belong to no query. */
export function queryName(shown: Shown): string {
  const { layer, picture } = shown;
  if (picture.packet.queries === null) return "";
  const image = layer?.kind === "image" ? layer : null;
  return image?.only || tokenName(picture.query, image);
}

/** What kind of map it is, and what of the picture is not on it, in sentences; or nothing. */
export function remark(shown: Shown): string {
  const { layer, picture, heads } = shown;
  if (!layer) return "";
  if (layer.kind === "matrix") return notes(layer.reason, layer.note);
  const kind = layer.record === "self" ? "" : capital(`${layer.record} attention.`);
  if (!hasRow(layer, picture.row)) {
    const name = queryName(shown);
    const it = name.startsWith("token") ? "This place" : `The ${name}`;
    return notes(kind, `${it} is not part of this layer.`, layer.note);
  }
  const { top, left, bottom, right } = layer.extent;
  const part = top > 0 || left > 0 || bottom < 1 || right < 1;
  const beside = part ? "What is darkened lies beside this layer’s patches." : "";
  const values = valuesOf(layer, picture.row, heads);
  const seen = values.filter((value) => !Number.isNaN(value)).length;
  const can = `${seen} of ${values.length} can.`;
  const hatched = seen < values.length ? `Hatched patches cannot be seen from here: ${can}` : "";
  return notes(kind, hatched, beside, layer.note);
}

function notes(...sentences: string[]): string {
  return sentences.filter(Boolean).join(" ");
}

/** The cell to read: under the pointer, else the query's own, else the largest. */
function targetCell(
  shown: Shown,
  layer: ImageLayer,
  pointed: number | null,
): { cell: number; why: string } {
  if (pointed !== null && pointed < layer.rows * layer.cols) return { cell: pointed, why: "" };
  const own = ownCell(shown, layer);
  if (own !== null) return { cell: own, why: "itself" };
  const values = valuesOf(layer, shown.picture.row, shown.heads);
  let cell = 0;
  values.forEach((value, i) => {
    if (Math.abs(value) > Math.abs(values[cell]) || Number.isNaN(values[cell])) cell = i;
  });
  return { cell, why: "largest" };
}

/** The cell that is the query itself; null where what asks is not on the map. */
export function ownCell(shown: Shown, layer: ImageLayer): number | null {
  const { packet, query } = shown.picture;
  if (packet.queries === null || layer.only || !sameAxis(layer, layer.asked)) return null;
  const place = placeIn(query, layer);
  return place && place.row * layer.cols + place.col;
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
  const value = (head: number) => layer.cells.value(mapIndex(layer, picture.row, head), cell);
  return heads.reduce((sum, head) => sum + value(head), 0) / heads.length;
}

export function sentence(read: Readout): string {
  const heads = read.more.includes("mean of heads") ? "heads" : "head";
  const arrow = read.target && read.arrow;
  const query = [read.query, arrow, read.target, read.value].filter(Boolean).join(" ");
  return capital(`layer ${read.layer}, ${heads} ${read.heads}, ${query}`);
}
