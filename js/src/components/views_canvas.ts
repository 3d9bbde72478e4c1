// One view as a picture: one pixel for each of the model's input, enlarged by the page.
import { type Field, paintField } from "../lib/views_field";
import { context2d, el } from "./dom";

export interface FieldCanvas {
  element: HTMLCanvasElement;
  paint(field: Field, weights: ArrayLike<number> | null, scale: number): void;
}

export function fieldCanvas(className = ""): FieldCanvas {
  const element = el("canvas", className, { "aria-hidden": "true" });
  let image: ImageData | null = null;
  return {
    element,
    paint(field, weights, scale) {
      const [width, height] = [field.cols * field.across, field.rows * field.down];
      if (!image || image.width !== width || image.height !== height) {
        image = new ImageData(width, height);
        element.width = width;
        element.height = height;
      }
      paintField(new Uint32Array(image.data.buffer), field, weights, scale);
      context2d(element).putImageData(image, 0, 0);
    },
  };
}
