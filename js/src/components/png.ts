// A picture of what is shown, drawn at twice the size: for slides and reports.
import { colormapFor, colourAt, pixelTable } from "../lib/colormap";
import { nats, shortWeight } from "../lib/format";
import { fit, scaled } from "../lib/geometry";
import { headHeat, meanHeat } from "../lib/heat";
import { orderHeads } from "../lib/order";
import { statistic } from "../lib/packet";
import { readout, remark, sentence } from "../lib/readout";
import type { InspectorState } from "../lib/state";
import { context2d } from "./dom";
import { saveCanvas } from "./download";
import { queryMark } from "./head_thumbnails";
import { paintOverlay } from "./overlay_painter";
import { photoCache } from "./photo";
import { cellCanvas } from "./pixels";
import { sceneOf } from "./scene";
import { AMBER, type AttentionView, queryOf, UNSEEN } from "./view";

const SCALE = 2;
const PADDING = 20;
const PICTURE = 420;
const THUMBNAIL = 84;
const COLUMNS = 6;

export async function savePng(view: AttentionView<InspectorState>): Promise<void> {
  await saveCanvas(drawPng(view), fileName(view));
}

function fileName(view: AttentionView<InspectorState>): string {
  const shown = view.attention.shown();
  const parts = [view.store.get("title"), `layer ${shown?.layerIndex}`, `head ${shown?.head}`];
  return `${parts.join(" ").replace(/[^\w.-]+/g, "_")}.png`;
}

export function drawPng(view: AttentionView<InspectorState>): HTMLCanvasElement {
  const { store, attention, pointed, root } = view;
  const shown = attention.shown();
  const photo = photoCache()(attention.image());
  const layer = shown?.layer ?? null;
  const matrix = layer?.kind === "matrix";
  const aspect =
    photo && !matrix ? photo.width / photo.height : layer ? layer.cols / layer.rows : 1;
  const picture = fit(aspect, PICTURE, PICTURE);
  const order = layer && shown ? orderHeads(layer, shown.picture.row, store.get("sort")) : [];
  const lines = Math.ceil(order.length / COLUMNS);
  const cell = layer ? fit(layer.cols / layer.rows, THUMBNAIL, THUMBNAIL) : fit(1, 1, 1);
  const line = cell.height + 28;
  const grid = { width: COLUMNS * (THUMBNAIL + 8) - 8, height: lines * line };
  const width = 2 * PADDING + picture.width + 24 + grid.width;
  const height = 76 + Math.max(picture.height, grid.height + 32) + PADDING;

  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * SCALE);
  canvas.height = Math.round(height * SCALE);
  const context = context2d(canvas);
  context.scale(SCALE, SCALE);
  const style = getComputedStyle(root);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const family = style.fontFamily;
  const write = (text: string, x: number, y: number, font: string, ink: string, end = false) => {
    context.font = `${font} ${family}`;
    context.fillStyle = ink;
    context.textAlign = end ? "right" : "left";
    context.fillText(text, x, y);
    return context.measureText(text).width;
  };
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, width, height);
  const ink = style.color;
  const grey = colour("--vw-solid-muted");
  const after = write(store.get("title"), PADDING, 32, "600 16px", ink);
  write(store.get("subtitle"), PADDING + after + 12, 32, "12px", grey);
  const read = readout(attention, pointed.get());
  const said = read ? write(sentence(read), PADDING, 54, "12px", grey) : 0;
  if (!shown || !layer) return canvas;
  if (!matrix) write(remark(shown), PADDING + said + 16, 54, "12px", grey);

  const top = 76;
  const box = { x: PADDING, y: top, ...picture };
  const colormap = colormapFor(layer, store.get("colormap"));
  const table = pixelTable(colormap);
  context.imageSmoothingEnabled = false;
  if (matrix) {
    const heat = meanHeat(layer, shown.picture.row, shown.heads);
    context.drawImage(cellCanvas(heat, table), box.x, box.y, box.width, box.height);
  } else paintOverlay(context, box, 1, sceneOf(view, shown, shown.picture, photo));

  const left = PADDING + picture.width + 24;
  context.imageSmoothingEnabled = false;
  const mark = queryMark(layer, queryOf(shown.picture) ?? -1);
  order.forEach((head, i) => {
    const x = left + (i % COLUMNS) * (THUMBNAIL + 8);
    const y = top + Math.floor(i / COLUMNS) * line;
    const heat = headHeat(layer, shown.picture.row, head);
    context.fillStyle = UNSEEN;
    context.fillRect(x, y, cell.width, cell.height);
    context.drawImage(cellCanvas(heat, table), x, y, cell.width, cell.height);
    if (mark) {
      const box = scaled(mark, { x, y, ...cell });
      context.strokeStyle = AMBER;
      context.lineWidth = 1;
      context.strokeRect(box.x, box.y, box.width, box.height);
    }
    if (shown.heads.includes(head)) {
      context.strokeStyle = colour("--vw-accent");
      context.lineWidth = 2;
      context.strokeRect(x - 2.5, y - 2.5, cell.width + 5, cell.height + 5);
    }
    write(String(head), x, y + cell.height + 15, "600 12px", ink);
    const entropy = nats(statistic(layer, "entropy", shown.picture.row, [head]), 1);
    write(entropy, x + THUMBNAIL, y + cell.height + 15, "12px", grey, true);
  });
  const below = top + grid.height + 8;
  drawBar(context, left, below, grid.width, colormap);
  const { maximum } = meanHeat(layer, shown.picture.row, shown.heads);
  const [least, most] = [layer.signed ? -maximum : 0, maximum].map(shortWeight);
  write(least, left, below + 22, "11px", grey);
  const drawn = `picture: ${least} to ${most}; each small map to its own maximum; √ scale`;
  write(drawn, left + grid.width, below + 22, "11px", grey, true);
  return canvas;
}

function drawBar(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  width: number,
  colormap: string,
): void {
  for (let i = 0; i < width; i++) {
    context.fillStyle = colourAt(colormap, i / (width - 1));
    context.fillRect(x + i, y, 1.5, 8);
  }
}
