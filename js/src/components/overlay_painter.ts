// Draws an image with a map over it: for the large picture, the pins, and the PNG.
import { colormapFor, pixelTable } from "../lib/colormap";
import { outline, type Segment, smallestSet } from "../lib/contour";
import {
  type Axis,
  type Box,
  boxOf,
  type Extent,
  type Place,
  scaled,
  WHOLE,
  within,
} from "../lib/geometry";
import type { Heat } from "../lib/heat";
import type { Drawing } from "../lib/state";
import { upsample } from "../lib/upsample";
import { NO_VALUE } from "../lib/wire";
import { context2d } from "./dom";
import type { Photo } from "./photo";
import { cellCanvas, dataCanvas, levelPixels } from "./pixels";
import { AMBER } from "./view";

export interface OverlayScene {
  photo: Photo | null;
  heat: Heat | null;
  /** Magnitudes of the cells, for the contour. */
  values: ArrayLike<number> | null;
  /** Where on the picture the map lies, and the patches of what asks. */
  map: Axis | null;
  asked: Axis | null;
  colormap: string;
  opacity: number;
  /** How much of the opacity a value has, from its size, both 0 to 1: low ones are transparent. */
  fade: (size: number) => number;
  drawing: Drawing;
  /** Share of the weight that the outline holds; 0 for none. */
  contour: number;
  /** Patches of what asks. */
  query: Place | null;
  pins: readonly { place: Place; letter: string }[];
  /** A cell of the map. */
  pointed: Place | null;
  /** Colours of the patches in place of a heat map, one pixel a patch: clusters, components. */
  cells?: ImageData | null;
  /** Sets of patches that are outlined, one number a patch. */
  outlined?: readonly ArrayLike<number>[];
  /** A set of pixels that is outlined, over the whole picture. */
  silhouette?: { rows: number; cols: number; marks: ArrayLike<number> } | null;
  /** A rectangle over the picture, in fractions of it. */
  frame?: Extent | null;
}

/** A scene with nothing in it, in the colours that are chosen; sizes are square roots. */
export function emptyScene(store: {
  get(name: "colormap"): string;
  get(name: "opacity"): number;
  get(name: "drawing"): Drawing;
}): OverlayScene {
  return {
    photo: null,
    heat: null,
    values: null,
    map: null,
    asked: null,
    colormap: store.get("colormap"),
    opacity: store.get("opacity"),
    fade: (size) => Math.min(1, 1.2 * size),
    drawing: store.get("drawing"),
    contour: 0,
    query: null,
    pins: [],
    pointed: null,
  };
}

const SMOOTH_SIZE = 288; // pixels; the browser enlarges from there

const VEIL = "#14171c66";

type Context = CanvasRenderingContext2D;

/** Paints into a box of the canvas; `ratio` is device pixels per CSS pixel, for line widths. */
export function paintOverlay(context: Context, box: Box, ratio: number, scene: OverlayScene): void {
  const { photo, heat, cells, opacity } = scene;
  const under = scaled(within(scene.map?.extent ?? WHOLE, WHOLE), box);
  context.save();
  context.beginPath();
  context.rect(box.x, box.y, box.width, box.height);
  context.clip();
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  if (photo) {
    context.drawImage(photo.plain, box.x, box.y, box.width, box.height);
    context.globalAlpha = heat || cells ? opacity : 0;
    context.drawImage(photo.muted, box.x, box.y, box.width, box.height);
    context.globalAlpha = 1;
  } else {
    context.fillStyle = "#1b1e24";
    context.fillRect(box.x, box.y, box.width, box.height);
  }
  if (heat) {
    paintBeside(context, box, under);
    paintHeat(context, under, heat, scene);
    paintMissing(context, under, heat, ratio);
    if (scene.contour > 0 && scene.values)
      paintSet(context, under, ratio, heat, smallestSet(scene.values, scene.contour));
  }
  if (cells) {
    paintBeside(context, box, under);
    context.globalAlpha = opacity;
    context.imageSmoothingEnabled = false;
    context.drawImage(dataCanvas(cells), under.x, under.y, under.width, under.height);
    context.imageSmoothingEnabled = true;
    context.globalAlpha = 1;
  }
  if (scene.map)
    for (const set of scene.outlined ?? []) paintSet(context, under, ratio, scene.map, set);
  const { silhouette } = scene;
  if (silhouette) paintSet(context, box, ratio, silhouette, silhouette.marks);
  if (scene.frame) paintFrame(context, scaled(within(scene.frame, WHOLE), box), ratio);
  paintMarks(context, box, ratio, scene);
  context.restore();
}

/** Outlines a set of patches. */
function paintSet(
  context: Context,
  under: Box,
  ratio: number,
  { rows, cols }: { rows: number; cols: number },
  set: ArrayLike<number>,
): void {
  const x = (col: number) => under.x + (col * under.width) / cols;
  const y = (row: number) => under.y + (row * under.height) / rows;
  const line = { width: 1.25 * ratio, halo: 3 * ratio };
  paintOutline(context, outline(Uint8Array.from(set), rows, cols), x, y, line);
}

/** A dashed white rectangle with a dark rim. */
function paintFrame(context: Context, { x, y, width, height }: Box, ratio: number): void {
  context.lineWidth = 3 * ratio;
  context.strokeStyle = "#0b0d1180";
  context.strokeRect(x, y, width, height);
  context.lineWidth = 1.5 * ratio;
  context.strokeStyle = "#ffffffe6";
  context.setLineDash([5 * ratio, 4 * ratio]);
  context.strokeRect(x, y, width, height);
  context.setLineDash([]);
}

/** What lies beside the map is darkened. */
function paintBeside(context: Context, box: Box, under: Box): void {
  context.fillStyle = VEIL;
  context.beginPath();
  context.rect(box.x, box.y, box.width, box.height);
  context.rect(under.x, under.y, under.width, under.height);
  context.fill("evenodd");
}

function paintHeat(context: Context, box: Box, heat: Heat, scene: OverlayScene): void {
  const table = pixelTable(
    colormapFor(heat, scene.colormap),
    (size) => scene.opacity * scene.fade(size),
  );
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

/** Cells that cannot be seen from the query are dimmed and hatched, those that can are outlined. */
function paintMissing(context: Context, box: Box, heat: Heat, ratio: number): void {
  const { rows, cols, levels } = heat;
  if (!levels.includes(NO_VALUE)) return;
  const x = (col: number) => Math.round(box.x + (col * box.width) / cols);
  const y = (row: number) => Math.round(box.y + (row * box.height) / rows);
  const seen = Uint8Array.from(levels, (level) => Number(level !== NO_VALUE));
  context.save();
  context.beginPath();
  seen.forEach((one, i) => {
    const [row, col] = [Math.floor(i / cols), i % cols];
    if (!one) context.rect(x(col), y(row), x(col + 1) - x(col), y(row + 1) - y(row));
  });
  context.fillStyle = hatch(context, ratio);
  context.fill();
  // the line lies outside, so that single cells stay visible in small pictures
  context.clip();
  paintOutline(context, outline(seen, rows, cols), x, y, { width: 2.5 * ratio, halo: 5 * ratio });
  context.restore();
}

/** A veil with thin lines, so that even a picture that is nearly all hatched can be recognised. */
function hatch(context: Context, ratio: number): CanvasPattern {
  const size = Math.round(8 * ratio);
  const tile = document.createElement("canvas");
  tile.width = size;
  tile.height = size;
  const lines = context2d(tile);
  lines.fillStyle = VEIL;
  lines.fillRect(0, 0, size, size);
  lines.strokeStyle = "#ffffff38";
  lines.lineWidth = Math.max(1, ratio * 0.7);
  lines.beginPath();
  for (const shift of [-size, 0, size]) {
    lines.moveTo(shift, size);
    lines.lineTo(shift + size, 0);
  }
  lines.stroke();
  return context.createPattern(tile, "repeat") as CanvasPattern;
}

/** A white line with a dark rim, so that it is seen on any photograph; x and y place the corners. */
function paintOutline(
  context: Context,
  segments: readonly Segment[],
  x: (col: number) => number,
  y: (row: number) => number,
  line: { width: number; halo: number },
): void {
  context.beginPath();
  for (const [x0, y0, x1, y1] of segments) {
    context.moveTo(x(x0), y(y0));
    context.lineTo(x(x1), y(y1));
  }
  context.lineCap = "square";
  context.lineWidth = line.halo;
  context.strokeStyle = "#0b0d1180";
  context.stroke();
  context.lineWidth = line.width;
  context.strokeStyle = "#ffffffe6";
  context.stroke();
}

function paintMarks(context: Context, box: Box, ratio: number, scene: OverlayScene): void {
  const { asked, map } = scene;
  if (!asked || !map) return;
  const frame = (place: Place, axis: Axis, colour: string, width: number) => {
    const cell = scaled(boxOf(place, axis), box);
    const line = width * ratio;
    // grown outwards, so that the patch itself stays visible
    const grow = line / 2;
    context.lineWidth = line + 1.5 * ratio;
    context.strokeStyle = "#0b0d1199";
    const rect: [number, number, number, number] = [
      cell.x - grow,
      cell.y - grow,
      cell.width + 2 * grow,
      cell.height + 2 * grow,
    ];
    context.strokeRect(...rect);
    context.lineWidth = line;
    context.strokeStyle = colour;
    context.strokeRect(...rect);
    return cell;
  };
  if (scene.pointed) frame(scene.pointed, map, "#ffffffd9", 1);
  for (const { place, letter } of scene.pins) {
    const cell = frame(place, asked, AMBER, 1);
    const size = 12 * ratio;
    const x = Math.min(box.x + box.width - size, cell.x + cell.width);
    const y = Math.max(box.y, cell.y - size);
    context.fillStyle = AMBER;
    context.fillRect(x, y, size, size);
    context.fillStyle = "#1b1405";
    context.font = `600 ${9 * ratio}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(letter, x + size / 2, y + size / 2 + 0.5 * ratio);
  }
  if (scene.query) frame(scene.query, asked, AMBER, 2);
}
