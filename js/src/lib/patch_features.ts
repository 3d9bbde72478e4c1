// What a page of patch features has beside a layer and a picture (Python's half:
// widgets/patch_features.py), and what it is drawn from.
import palette from "../../../vit_widgets/widgets/segment_colors.json";
import { parseHex } from "./colormap";
import { smallestSet } from "./contour";
import type { Heat } from "./heat";
import type { None } from "./neuron";
import type { RawAxis } from "./packet";
import { LAST_CODE, type MaybePacked, NO_VALUE, ZERO_CODE } from "./wire";

export type FeaturesView = "similarity" | "colours" | "segments" | "object" | "class" | "heads";

/** What an answer is about, and what is to be said of it. */
type About = {
  layer: number;
  image_index: number;
  /** Where the patches lie; empty: where those of the layer do. */
  axis: RawAxis | None;
  note: string;
};

export type Similarity = About & {
  query: number;
  of: string;
  values: MaybePacked;
  prefix: Record<string, number | null>;
};

export type OntoPicture = { onto: number; picture: MaybePacked };

export type Matches = About & {
  query: number;
  onto: number;
  of: string;
  values: MaybePacked;
  best: number[];
  cosine: number | null;
  mutual: boolean | null;
};

export type Colours = About & {
  of: string;
  images: string;
  foreground: boolean;
  values: MaybePacked;
  mask: MaybePacked;
  explained: number[];
};

export type Segments = About & {
  k: number;
  of: string;
  images: string;
  labels: MaybePacked;
  sizes: number[];
};

export type ObjectCut = About & {
  of: string;
  tau: number;
  refined: boolean;
  eigenvector: MaybePacked;
  mask: MaybePacked;
  box: number[];
  pixels: MaybePacked;
};

export type ClassPatches = About & {
  top: number;
  values: MaybePacked;
  patches: number[][];
  box: number[];
  norm: string;
};

export type HeadWeights = About & {
  query: number;
  weights: MaybePacked;
  on_patches: number[];
  asked: string;
};

export type FeaturesTraits = {
  features_view: FeaturesView;
  features_of: "tokens" | "keys";
  features_onto: number;
  features_images: "this image" | "all images";
  features_foreground: boolean;
  features_k: number;
  features_tau: number;
  features_refined: boolean;
  features_top: number;
  features_mass: number;
  features_heads: "one head" | "all heads";
  similarity: Similarity | None;
  onto_picture: OntoPicture | None;
  matches: Matches | None;
  colours: Colours | None;
  segments: Segments | None;
  object_cut: ObjectCut | None;
  class_patches: ClassPatches | None;
  head_weights: HeadWeights | None;
};

export const featuresTraits: FeaturesTraits = {
  features_view: "similarity",
  features_of: "tokens",
  features_onto: -1,
  features_images: "this image",
  features_foreground: false,
  features_k: 6,
  features_tau: 0.2,
  features_refined: false,
  features_top: 8,
  features_mass: 0.6,
  features_heads: "one head",
  similarity: {},
  onto_picture: {},
  matches: {},
  colours: {},
  segments: {},
  object_cut: {},
  class_patches: {},
  head_weights: {},
};

/** The trait that says what the part of an answer has to be, for the answer to be of this view. */
const ASKED = {
  layer: "layer",
  image_index: "image_index",
  query: "query",
  of: "features_of",
  onto: "features_onto",
  images: "features_images",
  foreground: "features_foreground",
  k: "features_k",
  tau: "features_tau",
  refined: "features_refined",
  top: "features_top",
} as const;

type Selected = Record<(typeof ASKED)[keyof typeof ASKED], unknown>;

/** An answer if it is about what is selected, else null. */
export function answered<T extends object>(
  found: object,
  get: <K extends keyof Selected>(key: K) => unknown,
): T | null {
  const parts = Object.entries(ASKED).filter(([part]) => part in found);
  const same = parts.every(([part, key]) => found[part as keyof typeof found] === get(key));
  return same && parts.length > 0 ? (found as T) : null;
}

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

// Okabe and Ito's colours: told apart by colour-blind readers for about eight segments; beyond that
// the numbers tell.
const PALETTE = palette.map(parseHex);

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

/** RGB as RGBA; pixels that a mask leaves out are transparent. */
export function opaque(rgb: ArrayLike<number>, mask?: ArrayLike<number>): Uint8ClampedArray {
  const pixels = new Uint8ClampedArray((rgb.length / 3) * 4);
  for (let i = 0; i < rgb.length / 3; i++)
    pixels.set([rgb[i * 3], rgb[i * 3 + 1], rgb[i * 3 + 2], !mask || mask[i] ? 255 : 0], i * 4);
  return pixels;
}

/** Attention from zero up as a heat map, on a square-root scale. */
export function plainHeat(values: ArrayLike<number>, rows: number, cols: number): Heat {
  let maximum = 0;
  for (let i = 0; i < values.length; i++) if (values[i] > maximum) maximum = values[i];
  const levels = Uint8Array.from(values, (value) => {
    if (Number.isNaN(value)) return NO_VALUE;
    return maximum > 0 ? Math.round(Math.sqrt(Math.max(0, value) / maximum) * LAST_CODE) : 0;
  });
  return { rows, cols, levels, maximum, signed: false };
}

/** One map of several, and the fewest patches that hold a share of it. */
export interface HeadMask {
  weights: Float32Array;
  mask: Uint8Array;
}

/** A mask for each head: (head, patch). */
export function headMasks(weights: Float32Array, heads: number, mass: number): HeadMask[] {
  const patches = weights.length / heads;
  return Array.from({ length: heads }, (_, head) => {
    const mine = weights.subarray(head * patches, (head + 1) * patches);
    return { weights: mine, mask: smallestSet(mine, mass) };
  });
}

/** The mean of some heads, and the patches that are in the mask of any. */
export function together(heads: readonly HeadMask[]): HeadMask {
  const { length } = heads[0].weights;
  const weights = new Float32Array(length);
  const mask = new Uint8Array(length);
  for (const one of heads)
    for (let i = 0; i < length; i++) {
      weights[i] += one.weights[i] / heads.length;
      mask[i] |= one.mask[i];
    }
  return { weights, mask };
}
