// Heat maps as pixels: one pixel per patch, to be enlarged without smoothing.
import type { Heat } from "../lib/heat";
import { context2d } from "./dom";

/** Paints a map into a canvas of exactly one pixel per cell. */
export function paintCells(canvas: HTMLCanvasElement, heat: Heat, table: Uint32Array): void {
  if (canvas.width !== heat.cols) canvas.width = heat.cols;
  if (canvas.height !== heat.rows) canvas.height = heat.rows;
  context2d(canvas).putImageData(cellPixels(heat, table), 0, 0);
}

export function cellPixels(heat: Heat, table: Uint32Array): ImageData {
  return levelPixels(heat.levels, heat.cols, heat.rows, table);
}

export function levelPixels(
  levels: Uint8Array,
  width: number,
  height: number,
  table: Uint32Array,
): ImageData {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = table[levels[i]];
  return image;
}

/** Colours (cell, 4) as pixels, one each. */
export function rgbaPixels(rgba: Uint8ClampedArray, cols: number): ImageData {
  const image = new ImageData(cols, rgba.length / 4 / cols);
  image.data.set(rgba);
  return image;
}

/** A picture of the cells that can be drawn enlarged. */
export function cellCanvas(heat: Heat, table: Uint32Array): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  paintCells(canvas, heat, table);
  return canvas;
}

/** Pixels as a picture that can be drawn enlarged. */
export function dataCanvas(pixels: ImageData): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  context2d(canvas).putImageData(pixels, 0, 0);
  return canvas;
}

/** An RGB image (height, width, 3) on a canvas of its own size. */
export function rgbCanvas(rgb: ArrayLike<number>, width: number, height: number, start = 0) {
  const canvas = document.createElement("canvas");
  paintRgb(canvas, rgb, width, height, start);
  return canvas;
}

/** Paints an RGB image (height, width, 3) into a canvas, which takes its size. */
export function paintRgb(
  canvas: HTMLCanvasElement,
  rgb: ArrayLike<number>,
  width: number,
  height: number,
  start = 0,
): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    image.data[i * 4] = rgb[start + i * 3];
    image.data[i * 4 + 1] = rgb[start + i * 3 + 1];
    image.data[i * 4 + 2] = rgb[start + i * 3 + 2];
    image.data[i * 4 + 3] = 255;
  }
  context2d(canvas).putImageData(image, 0, 0);
}
