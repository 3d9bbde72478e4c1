// All maps as one picture, at twice the size, with the names of rows and columns.
import { two } from "../lib/comparison";
import type { CompareMapsState } from "../lib/state";
import type { Comparison } from "./compare_model";
import { context2d, el } from "./dom";
import { saveCanvas } from "./download";
import { sceneOfMap } from "./map_grid";
import { paintOverlay } from "./overlay_painter";
import type { View } from "./view";

const SCALE = 2;
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
  canvas.height = Math.round((2 * PADDING + 3 * LINE + down) * SCALE);
  const context = context2d(canvas);
  const style = getComputedStyle(root);
  const grey = style.getPropertyValue("--vw-solid-muted").trim();
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
    context.fillText(text, x, y, most);
  }
  context.scale(SCALE, SCALE);
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, across, canvas.height / SCALE);
  write(store.get("title"), PADDING, PADDING + 4, "600 14px", across - 2 * PADDING);
  let top = PADDING + LINE;
  const rule =
    store.get("compare_scale") === "per map"
      ? "√ scale, each map against its own largest magnitude"
      : "√ scale, all maps of a method against the largest magnitude among them";
  write(rule, PADDING, top + 4, "11px", across - 2 * PADDING, grey);
  top += LINE;
  const left = (column: number) => PADDING + NAMES + column * (CELL + GAP);
  methods.forEach((_, column) => {
    write(found.method(column), left(column), top + 6, "600 12px", CELL);
  });
  top += LINE;
  rows.forEach((row, at) => {
    write(found.name(at), PADDING, top + 12, "12px", NAMES - GAP, grey);
    row.maps.forEach((map, column) => {
      const box = { x: left(column), y: top, width: CELL, height: heights[at] };
      paintOverlay(context, box, 1, sceneOfMap(view, found, at, column));
      const area = typeof map.area === "number" ? ` · area ${two(map.area)}` : "";
      const said = found.map(at, column) ? `${map.target}${area}` : `no map: ${map.note}`;
      write(said, box.x, top + heights[at] + 13, "11px", CELL, grey);
    });
    top += heights[at] + LINE + GAP;
  });
  return canvas;
}
