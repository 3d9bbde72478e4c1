// Where the tokens of the layer in view lie, and which of them the selection means (Python's half:
// widgets/token_page.py).
import type { Axis, Tokens } from "./geometry";
import type { None } from "./neuron";
import { type RawAxis, readAxis } from "./packet";
import type { Store } from "./store";

export type TokenLayer = {
  layer: number;
  image_index: number;
  /** Path of the block that returned them. */
  block: string;
  /** Empty: their places are not known, and `note` says why. */
  axis: RawAxis | None;
  /** What `query` counts on; empty: `axis`. */
  reference: RawAxis | None;
  note: string;
};

type Read = { layer: number; image_index: number; token_layer: TokenLayer | None };

/** The tokens of the layer and image in view; null while they are on their way, or without places. */
export function tokensOf<S extends Read>(store: Store<S>): Tokens | null {
  const about = current(store);
  const asked = about && axisOf(about.axis);
  return asked && { asked, reference: axisOf(about.reference) ?? asked };
}

function axisOf(raw: RawAxis | None): Axis | null {
  return "grid" in raw ? readAxis(raw as RawAxis) : null;
}

/** What is known of the layer and image in view, or null while that is on its way. */
export function current<S extends Read>(store: Store<S>): TokenLayer | null {
  if (!("axis" in store.get("token_layer"))) return null;
  const about = store.get("token_layer") as TokenLayer;
  const mine = about.layer === store.get("layer") && about.image_index === store.get("image_index");
  return mine ? about : null;
}
