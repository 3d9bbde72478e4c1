// Objects drawn on the patches of the image in view (Python's half: widgets/token_mask.py).
import { type Axis, holding, type Place, type Tokens } from "./geometry";
import type { None } from "./neuron";
import { segmentColour } from "./patch_features";
import type { Store } from "./store";
import { isPacked, type MaybePacked, type Packed, unpack } from "./wire";

export type TokenMask = { image_index: number; values: MaybePacked };

export type TokenMaskTraits = { token_mask: TokenMask | None };

export const tokenMaskTraits: TokenMaskTraits = { token_mask: {} };

/** As many as there are colours that a colour-blind reader tells apart. */
export const MOST_OBJECTS = 8;

type Read = TokenMaskTraits & { image_index: number };

/** The object of each patch that the selection counts, 0 where there is none; all 0 without a mask. */
export function objectsOf<S extends Read>(store: Store<S>, reference: Axis): Uint8Array {
  const mask = store.get("token_mask") as Partial<TokenMask>;
  const none = new Uint8Array(reference.rows * reference.cols);
  if (mask.image_index !== store.get("image_index") || !isPacked(mask.values)) return none;
  const { codes, shape } = unpack(mask.values);
  return shape[0] === reference.rows && shape[1] === reference.cols ? Uint8Array.from(codes) : none;
}

/** The objects of the patches of a layer: each that of the patch of the selection at its centre. */
export function objectsOfLayer(objects: Uint8Array, { reference, asked }: Tokens): Uint8Array {
  return Uint8Array.from({ length: asked.rows * asked.cols }, (_, patch) => {
    const place = { row: Math.floor(patch / asked.cols), col: patch % asked.cols };
    const under = holding(place, asked, reference);
    return under ? objects[under.row * reference.cols + under.col] : 0;
  });
}

/** The same objects with some patches painted. */
export function painted(
  objects: Uint8Array,
  places: readonly Place[],
  { cols }: Pick<Axis, "cols">,
  object: number,
): Uint8Array {
  const now = Uint8Array.from(objects);
  for (const { row, col } of places) now[row * cols + col] = object;
  return now;
}

export function packedObjects(objects: Uint8Array, { rows, cols }: Axis): Packed {
  // a copy of its own: the host may send the buffer after more was painted
  const view = new DataView(Uint8Array.from(objects).buffer);
  return { dtype: "u1", shape: [rows, cols], scale: 1, offset: 0, curve: "raw", view };
}

/** Which objects there are, the smallest number first. */
export function present(objects: Uint8Array): number[] {
  return [...new Set(objects)].filter((object) => object > 0).sort((a, b) => a - b);
}

/** Objects as colours of their own, nothing where there is none: (patch, 4). */
export function objectPixels(objects: Uint8Array): Uint8ClampedArray {
  const pixels = new Uint8ClampedArray(objects.length * 4);
  objects.forEach((object, i) => {
    if (object > 0) pixels.set([...segmentColour(object - 1), 255], i * 4);
  });
  return pixels;
}
