// All maps as one picture, at twice the size, with the names of rows and columns.
import { type ComparedMap, two } from "../lib/comparison";
import type { Box } from "../lib/geometry";
import type { CompareMapsState } from "../lib/state";
import { type Comparison, ruleWords } from "./compare_model";
import { context2d, el } from "./dom";
import { saveCanvas } from "./download";
import { sceneOfMap } from "./map_grid";
import { paintOverlay } from "./overlay_painter";
import type { View } from "./view";

const SCALE = 2;
const SMALL = "11px";
const RULE = 3; // lines of it, at most
const [PADDING, NAMES, CELL, GAP, LINE] = [20, 120, 160, 10, 18];

export async function saveSheet(view: View<CompareMapsState>, found: Comparison): Promise<void> {
  const name = `maps ${view.store.get("title")}`.replace(/[^\w.-]+/g, "_");
  await saveCanvas(drawSheet(view, found), `${name}.png`);
}

export function drawSheet(view: View<CompareMapsState>, found: Comparison): HTMLCanvasElement {
  const { root, store } = view;
  const [rows, methods] = [found.rows(), found.methods()];
  const heights = rows.map((_, row) => {
    const photo = found.photo(row);
    return photo ? (CELL * photo.height) / photo.width : CELL;
  });
  const across = 2 * PADDING + NAMES + methods.length * (CELL + GAP);
  const down = heights.reduce((sum, height) => sum + height + LINE + GAP, 0);
  const canvas = el("canvas");
  canvas.width = Math.round(across * SCALE);
  canvas.height = Math.round((2 * PADDING + (2 + RULE) * LINE + down) * SCALE);
  const context = context2d(canvas);
  const style = getComputedStyle(root);
  const grey = style.getPropertyValue("--vw-solid-muted").trim();
  /** Cut off where there is no more room. */
  function write(
    text: string,
    x: number,
    y: number,
    font: string,
    most: number,
    ink = style.color,
  ) {
    context.font = `${font} ${style.fontFamily}`;
    context.fillStyle = ink;
    context.fillText(linesOf(context, text, most, 1)[0] ?? "", x, y);
  }
  /** The map and what it is of; or why there is none, over the picture. */
  function drawCell(map: ComparedMap, { at, column }: Record<"at" | "column", number>, box: Box) {
    const { x, y, width, height } = box;
    if (found.map(at, column)) {
      paintOverlay(context, box, 1, sceneOfMap(view, found, at, column));
      const area = typeof map.area === "number" ? ` · area ${two(map.area)}` : "";
      write(`${map.target}${area}`, x, y + height + 13, SMALL, width, grey);
      return;
    }
    const photo = found.photo(at);
    context.globalAlpha = 0.15;
    if (photo) context.drawImage(photo.plain, x, y, width, height);
    context.globalAlpha = 1;
    context.font = `${SMALL} ${style.fontFamily}`;
    const reason = map.note || rows[at].note || "no map";
    const most = Math.max(1, Math.floor(height / 14));
    linesOf(context, reason, width - 12, most).forEach((text, i) => {
      write(text, x + 6, y + 16 + 14 * i, SMALL, width - 12);
    });
  }
  context.scale(SCALE, SCALE);
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, across, canvas.height / SCALE);
  write(store.get("title"), PADDING, PADDING + 4, "600 14px", across - 2 * PADDING);
  let top = PADDING + LINE;
  context.font = `${SMALL} ${style.fontFamily}`;
  for (const text of linesOf(context, ruleWords(view, found), across - 2 * PADDING, RULE)) {
    write(text, PADDING, top + 4, SMALL, across - 2 * PADDING, grey);
    top += 14;
  }
  top += 4;
  const left = (column: number) => PADDING + NAMES + column * (CELL + GAP);
  methods.forEach((_, column) => {
    write(found.method(column), left(column), top + 6, "600 12px", CELL);
  });
  top += LINE;
  rows.forEach((row, at) => {
    write(found.name(at), PADDING, top + 12, "12px", NAMES - GAP, grey);
    row.maps.forEach((map, column) => {
      drawCell(map, { at, column }, { x: left(column), y: top, width: CELL, height: heights[at] });
    });
    top += heights[at] + LINE + GAP;
  });
  return canvas;
}

/** Words in lines of a width, at most so many; the last ends in … where there are more. */
function linesOf(
  context: CanvasRenderingContext2D,
  text: string,
  width: number,
  most: number,
): string[] {
  const lines: string[] = [];
  let line = "";
  const wide = (words: string) => context.measureText(words).width > width;
  for (const word of text.split(" ")) {
    const longer = line ? `${line} ${word}` : word;
    if (!line || !wide(longer)) {
      line = longer;
      continue;
    }
    lines.push(line);
    line = word;
  }
  lines.push(line);
  const kept = lines.slice(0, most);
  let last = lines.length > most ? `${kept[most - 1]} …` : (kept.at(-1) ?? "");
  while (last.length > 1 && wide(last)) last = `${last.slice(0, -2).trimEnd()}…`;
  return [...kept.slice(0, -1), last];
}
