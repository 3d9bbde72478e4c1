// The image under the map: as it is, and muted so that a map can be read on it.
import type { Packed } from "../lib/wire";
import { unpack } from "../lib/wire";
import { rgbCanvas } from "./pixels";

export interface Photo {
  width: number;
  height: number;
  plain: HTMLCanvasElement;
  /** Dimmed and half desaturated. */
  muted: HTMLCanvasElement;
}

const SATURATION = 0.42;
const BRIGHTNESS = 0.7;

/** Decodes an image once, however often it is drawn. */
export function photoCache(): (packed: Packed | null) => Photo | null {
  const photos = new WeakMap<Packed, Photo>();
  return (packed) => {
    if (!packed) return null;
    const known = photos.get(packed);
    if (known) return known;
    const { codes, shape } = unpack(packed);
    const [height, width] = shape.slice(-3);
    const photo = makePhoto(codes, width, height);
    photos.set(packed, photo);
    return photo;
  };
}

export function makePhoto(rgb: ArrayLike<number>, width: number, height: number): Photo {
  return {
    width,
    height,
    plain: rgbCanvas(rgb, width, height),
    muted: rgbCanvas(mute(rgb), width, height),
  };
}

function mute(rgb: ArrayLike<number>): Uint8Array {
  const muted = new Uint8Array(rgb.length);
  for (let i = 0; i < rgb.length; i += 3) {
    const grey = 0.2126 * rgb[i] + 0.7152 * rgb[i + 1] + 0.0722 * rgb[i + 2];
    for (let k = 0; k < 3; k++) {
      muted[i + k] = BRIGHTNESS * (grey + SATURATION * (rgb[i + k] - grey));
    }
  }
  return muted;
}
