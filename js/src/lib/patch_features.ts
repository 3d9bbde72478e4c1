// What a page of patch features has beside a layer and a picture (Python's half:
// widgets/patch_features.py), and what it is drawn from.
import type { Heat } from "./heat";
import type { None } from "./neuron";
import { LAST_CODE, type MaybePacked, NO_VALUE, ZERO_CODE } from "./wire";

export type FeaturesView = "similarity" | "colours" | "segments" | "object";

export type Similarity = {
  layer: number;
  query: number;
  image_index: number;
  values: MaybePacked;
  prefix: Record<string, number | null>;
  note: string;
};

export type Colours = {
  layer: number;
  image_index: number;
  values: MaybePacked;
  explained: number[];
  note: string;
};

export type Segments = {
  layer: number;
  image_index: number;
  k: number;
  labels: MaybePacked;
  sizes: number[];
  note: string;
};

export type ObjectCut = {
  layer: number;
  image_index: number;
  eigenvector: MaybePacked;
  mask: MaybePacked;
  box: number[];
  tau: number;
  note: string;
};

export type FeaturesTraits = {
  features_view: FeaturesView;
  features_k: number;
  features_tau: number;
  similarity: Similarity | None;
  colours: Colours | None;
  segments: Segments | None;
  object_cut: ObjectCut | None;
};

export const featuresTraits: FeaturesTraits = {
  features_view: "similarity",
  features_k: 6,
  features_tau: 0.2,
  similarity: {},
  colours: {},
  segments: {},
  object_cut: {},
};

/** The trait that answers in each of the views. */
export const ANSWER = {
  similarity: "similarity",
  colours: "colours",
  segments: "segments",
  object: "object_cut",
} as const satisfies Record<FeaturesView, keyof FeaturesTraits>;

/** Values of both signs as a heat map centred on zero. */
export function signedHeat(values: ArrayLike<number>, rows: number, cols: number): Heat {
  let maximum = 0;
  for (let i = 0; i < values.length; i++)
    if (Math.abs(values[i]) > maximum) maximum = Math.abs(values[i]);
  const levels = Uint8Array.from(values, (value) => {
    if (Number.isNaN(value)) return NO_VALUE;
    const part = maximum > 0 ? value / maximum : 0;
    return Math.max(0, Math.min(LAST_CODE, Math.round(ZERO_CODE + part * (LAST_CODE - ZERO_CODE))));
  });
  return { rows, cols, levels, maximum, signed: true };
}

// Okabe and Ito's colours and lighter and darker ones of them: told apart by colour-blind readers
// for about eight segments; beyond that the outlines and the numbers tell.
const PALETTE = [
  [0, 114, 178],
  [230, 159, 0],
  [0, 158, 115],
  [204, 121, 167],
  [86, 180, 233],
  [213, 94, 0],
  [240, 228, 66],
  [150, 150, 150],
] as const;

/** A colour for each segment; the ninth is a darker first one. */
export function segmentColour(segment: number): [number, number, number] {
  const [r, g, b] = PALETTE[segment % PALETTE.length];
  const shade = 0.72 ** Math.floor(segment / PALETTE.length);
  return [Math.round(r * shade), Math.round(g * shade), Math.round(b * shade)];
}

/** Patches as colours, one number from 0 to 255 a channel: (patch, 4) with full opacity. */
export function segmentPixels(labels: ArrayLike<number>): Uint8ClampedArray {
  const pixels = new Uint8ClampedArray(labels.length * 4);
  for (let i = 0; i < labels.length; i++)
    pixels.set([...segmentColour(Math.round(labels[i])), 255], i * 4);
  return pixels;
}

/** RGB as RGBA. */
export function opaque(rgb: ArrayLike<number>): Uint8ClampedArray {
  const pixels = new Uint8ClampedArray((rgb.length / 3) * 4);
  for (let i = 0; i < rgb.length / 3; i++)
    pixels.set([rgb[i * 3], rgb[i * 3 + 1], rgb[i * 3 + 2], 255], i * 4);
  return pixels;
}
