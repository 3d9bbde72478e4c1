// Draws points into a box of a canvas: on screen and for the PNG.
import type { Rgb } from "../lib/colormap";
import type { Box } from "../lib/geometry";
import type { Cloud } from "../lib/scatter";
import { AMBER } from "./view";

export interface PointScene {
  cloud: Cloud;
  /** Where the points are now, on their way from one frame to the next. */
  x: Float32Array;
  y: Float32Array;
  rgb: readonly Rgb[];
  /** Whose points are full; those of other images are faint. */
  image: number;
  selected: ReadonlySet<number>;
  /** Points of the query and under the pointer; -1 for none. */
  query: number;
  pointed: number;
  ink: string;
  paper: string;
}

export const MARGIN = 22; // CSS pixels around the outermost points
const RADIUS = 3.4;

type Context = CanvasRenderingContext2D;

/** From the plane, -1 to 1 and y up, to the box. */
export function toBox(box: Box, ratio: number) {
  const half = Math.max(1, Math.min(box.width, box.height) / 2 - MARGIN * ratio);
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  return {
    half,
    x: (value: number) => x + value * half,
    y: (value: number) => y - value * half,
  };
}

export function paintPoints(context: Context, box: Box, ratio: number, scene: PointScene): void {
  const { cloud, x, y, rgb, selected } = scene;
  const at = toBox(box, ratio);
  const few = cloud.count <= 400 ? 1.25 : cloud.count > 2500 ? 0.8 : 1;
  const radius = RADIUS * ratio * few;
  const prefix = cloud.prefix.length;
  const rank = (i: number) => (selected.has(i) ? 2 : cloud.image[i] === scene.image ? 1 : 0);
  context.save();
  // those of other images first, then those that are not selected, then the rest
  for (const turn of [0, 1, 2]) {
    for (let i = 0; i < cloud.count; i++) {
      if (cloud.token[i] < prefix || rank(i) !== turn) continue;
      const faint = selected.size > 0 ? turn < 2 : turn === 0;
      context.globalAlpha = faint ? (turn === 0 ? 0.22 : 0.3) : 0.92;
      context.fillStyle = `rgb(${rgb[i][0]},${rgb[i][1]},${rgb[i][2]})`;
      if (faint) {
        // small squares: they are many, and quicker than discs that nobody tells from them
        const side = 1.4 * radius;
        context.fillRect(at.x(x[i]) - side / 2, at.y(y[i]) - side / 2, side, side);
        continue;
      }
      context.beginPath();
      context.arc(at.x(x[i]), at.y(y[i]), radius, 0, 2 * Math.PI);
      context.fill();
      // the ends of a colour map are as dark or as light as the page
      context.globalAlpha = 0.4;
      context.lineWidth = 0.6 * ratio;
      context.strokeStyle = scene.ink;
      context.stroke();
    }
  }
  for (let i = 0; i < cloud.count; i++) {
    if (cloud.token[i] >= prefix) continue;
    const full = cloud.image[i] === scene.image || selected.has(i);
    context.globalAlpha = full ? 1 : 0.35;
    paintPrefix(
      context,
      at.x(x[i]),
      at.y(y[i]),
      radius * 1.6,
      cloud.token[i] === 0,
      scene.ink,
      rgb[i],
    );
    if (full && cloud.image[i] === scene.image && prefix <= 5) {
      context.font = `600 ${11 * ratio}px system-ui, sans-serif`;
      context.textBaseline = "middle";
      const words = cloud.prefix[cloud.token[i]];
      const right = at.x(x[i]) < box.x + box.width * 0.75;
      context.textAlign = right ? "left" : "right";
      const place = at.x(x[i]) + (right ? 1 : -1) * radius * 2.2;
      context.lineWidth = 3 * ratio;
      context.strokeStyle = scene.paper;
      context.strokeText(words, place, at.y(y[i]));
      context.fillStyle = scene.ink;
      context.fillText(words, place, at.y(y[i]));
    }
  }
  context.globalAlpha = 1;
  const ring = (point: number, colour: string, width: number) => {
    if (point < 0 || point >= cloud.count) return;
    context.beginPath();
    context.arc(at.x(x[point]), at.y(y[point]), radius + 3 * ratio, 0, 2 * Math.PI);
    context.lineWidth = width * ratio;
    context.strokeStyle = colour;
    context.stroke();
  };
  ring(scene.pointed, scene.ink, 1.25);
  ring(scene.query, scene.paper, 4);
  ring(scene.query, AMBER, 2);
  context.restore();
}

/** The first prefix token, a class token nearly always, is a diamond; others are triangles. */
function paintPrefix(
  context: Context,
  x: number,
  y: number,
  size: number,
  first: boolean,
  ink: string,
  [r, g, b]: Rgb,
): void {
  context.beginPath();
  context.moveTo(x, y - size);
  context.lineTo(x + size, first ? y : y + 0.8 * size);
  if (first) context.lineTo(x, y + size);
  context.lineTo(x - size, first ? y : y + 0.8 * size);
  context.closePath();
  context.fillStyle = `rgb(${r},${g},${b})`;
  context.fill();
  context.lineWidth = size / 4;
  context.strokeStyle = ink;
  context.stroke();
}
