// Draws an image with a map over it: for the large picture, the pins, and the PNG.
import { pixelTable } from "../lib/colormap";
import { outline, smallestSet } from "../lib/contour";
import { type Box, boxOf, type Grid, type Place } from "../lib/geometry";
import type { Heat } from "../lib/heat";
import type { Drawing } from "../lib/state";
import { upsample } from "../lib/upsample";
import { NO_VALUE } from "../lib/wire";
import { context2d } from "./dom";
import type { Photo } from "./photo";
import { cellCanvas, levelPixels } from "./pixels";
import { AMBER } from "./view";

export interface OverlayScene {
  photo: Photo | null;
  heat: Heat | null;
  /** Values of the cells, for the contour. */
  values: ArrayLike<number> | null;
  grid: Grid | null;
  colormap: string;
  opacity: number;
  drawing: Drawing;
  /** Share of the weight that the outline holds; 0 for none. */
  contour: number;
  query: Place | null;
  pins: readonly { place: Place; letter: string }[];
  pointed: Place | null;
}

const SMOOTH_SIZE = 288; // pixels; the browser enlarges from there

type Context = CanvasRenderingContext2D;

/** Paints into a box of the canvas; `ratio` is device pixels per CSS pixel, for line widths. */
export function paintOverlay(context: Context, box: Box, ratio: number, scene: OverlayScene): void {
  const { photo, heat, opacity } = scene;
  context.save();
  context.beginPath();
  context.rect(box.x, box.y, box.width, box.height);
  context.clip();
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  if (photo) {
    context.drawImage(photo.plain, box.x, box.y, box.width, box.height);
    context.globalAlpha = heat ? opacity : 0;
    context.drawImage(photo.muted, box.x, box.y, box.width, box.height);
    context.globalAlpha = 1;
  } else {
    context.fillStyle = "#1b1e24";
    context.fillRect(box.x, box.y, box.width, box.height);
  }
  if (heat) {
    paintHeat(context, box, heat, scene);
    paintMissing(context, box, heat, ratio);
    if (scene.contour > 0 && scene.values) paintContour(context, box, heat, ratio, scene);
  }
  if (scene.grid) paintMarks(context, box, scene.grid, ratio, scene);
  context.restore();
}

function paintHeat(context: Context, box: Box, heat: Heat, scene: OverlayScene): void {
  // low values are transparent, so that the image stays readable
  const table = pixelTable(scene.colormap, (part) => scene.opacity * Math.min(1, 1.2 * part));
  if (scene.drawing === "patches") {
    context.imageSmoothingEnabled = false;
    context.drawImage(cellCanvas(heat, table), box.x, box.y, box.width, box.height);
    context.imageSmoothingEnabled = true;
    return;
  }
  const scale = Math.min(1, SMOOTH_SIZE / Math.max(box.width, box.height));
  const width = Math.max(1, Math.round(box.width * scale));
  const height = Math.max(1, Math.round(box.height * scale));
  const smooth = document.createElement("canvas");
  smooth.width = width;
  smooth.height = height;
  const levels = upsample(heat.levels, heat.rows, heat.cols, width, height);
  context2d(smooth).putImageData(levelPixels(levels, width, height, table), 0, 0);
  context.drawImage(smooth, box.x, box.y, box.width, box.height);
}

/** Cells that cannot be seen from the query are hatched. */
function paintMissing(context: Context, box: Box, heat: Heat, ratio: number): void {
  const { rows, cols, levels } = heat;
  if (!levels.includes(NO_VALUE)) return;
  const size = Math.round(6 * ratio);
  const tile = document.createElement("canvas");
  tile.width = size;
  tile.height = size;
  const lines = context2d(tile);
  lines.fillStyle = "#14171c66";
  lines.fillRect(0, 0, size, size);
  lines.strokeStyle = "#ffffff59";
  lines.lineWidth = Math.max(1, ratio * 0.8);
  lines.beginPath();
  for (const shift of [-size, 0, size]) {
    lines.moveTo(shift, size);
    lines.lineTo(shift + size, 0);
  }
  lines.stroke();
  context.fillStyle = context.createPattern(tile, "repeat") as CanvasPattern;
  context.beginPath();
  for (let i = 0; i < levels.length; i++) {
    if (levels[i] !== NO_VALUE) continue;
    const place = { row: Math.floor(i / cols), col: i % cols };
    const cell = boxOf(place, { rows, cols, prefix: 0 }, box.width, box.height);
    context.rect(box.x + cell.x, box.y + cell.y, cell.width, cell.height);
  }
  context.fill();
}

function paintContour(
  context: Context,
  box: Box,
  heat: Heat,
  ratio: number,
  scene: OverlayScene,
): void {
  const mask = smallestSet(scene.values ?? [], scene.contour);
  const [sx, sy] = [box.width / heat.cols, box.height / heat.rows];
  context.beginPath();
  for (const [x0, y0, x1, y1] of outline(mask, heat.rows, heat.cols)) {
    context.moveTo(box.x + x0 * sx, box.y + y0 * sy);
    context.lineTo(box.x + x1 * sx, box.y + y1 * sy);
  }
  context.lineCap = "square";
  context.lineWidth = 3 * ratio;
  context.strokeStyle = "#0b0d1180";
  context.stroke();
  context.lineWidth = 1.25 * ratio;
  context.strokeStyle = "#ffffffe6";
  context.stroke();
}

function paintMarks(
  context: Context,
  box: Box,
  grid: Grid,
  ratio: number,
  scene: OverlayScene,
): void {
  const frame = (place: Place, colour: string, width: number) => {
    const cell = boxOf(place, grid, box.width, box.height);
    const line = width * ratio;
    // grown outwards, so that the patch itself stays visible
    const grow = line / 2;
    context.lineWidth = line + 1.5 * ratio;
    context.strokeStyle = "#0b0d1199";
    const rect: [number, number, number, number] = [
      box.x + cell.x - grow,
      box.y + cell.y - grow,
      cell.width + 2 * grow,
      cell.height + 2 * grow,
    ];
    context.strokeRect(...rect);
    context.lineWidth = line;
    context.strokeStyle = colour;
    context.strokeRect(...rect);
    return cell;
  };
  if (scene.pointed) frame(scene.pointed, "#ffffffd9", 1);
  for (const { place, letter } of scene.pins) {
    const cell = frame(place, AMBER, 1);
    const size = 12 * ratio;
    const x = box.x + Math.min(box.width - size, cell.x + cell.width);
    const y = box.y + Math.max(0, cell.y - size);
    context.fillStyle = AMBER;
    context.fillRect(x, y, size, size);
    context.fillStyle = "#1b1405";
    context.font = `600 ${9 * ratio}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(letter, x + size / 2, y + size / 2 + 0.5 * ratio);
  }
  if (scene.query) frame(scene.query, AMBER, 2);
}
