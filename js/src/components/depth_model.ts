// What the parts of the page of norms and layers share: the blocks, which of them is in view, and
// the answers that are about what is selected.
import {
  type BlockNorms,
  blocksOf,
  cutAs,
  type DepthAttention,
  type DepthCka,
  type DepthCurves,
  type DepthNorms,
  type DepthObject,
  type DepthPrefix,
  standing,
} from "../lib/depth";
import type { TokenDepthState } from "../lib/state";
import type { View } from "./view";

export const DEPTH_KEYS = [
  ...(["layer", "image_index", "token_layer", "depth_norms", "depth_threshold"] as const),
  ...(["depth_beside", "depth_without"] as const),
] as const;

export interface DepthModel {
  /** Norms of the image in view, or null while they are on their way. */
  norms(): DepthNorms | null;
  blocks(): readonly BlockNorms[];
  /** The block in view; -1 where there is none. */
  at(): number;
  /** Patches of the block in view that stand out. */
  out(): Uint8Array;
  /** Those that are left out of maps of this many patches; null: none are. */
  leftOut(patches: number): Uint8Array | null;
  curves(): DepthCurves | null;
  cka(): DepthCka | null;
  attention(): DepthAttention | null;
  prefix(): DepthPrefix | null;
  object(): DepthObject | null;
  /** Shows a block, where a layer does. */
  show(block: number): void;
}

export function depthModel({ store }: View<TokenDepthState>): DepthModel {
  type Selected = "layer" | "query" | "image_index";
  /** An answer that is about what is selected, or null. */
  type About =
    | ("depth_norms" | "depth_curves" | "depth_cka")
    | ("depth_attention" | "depth_prefix" | "depth_object");
  function mine<T>(trait: About, of: readonly Selected[]): T | null {
    const found = store.get(trait) as Partial<Record<Selected, number>>;
    return of.every((key) => found[key] === store.get(key)) ? (found as T) : null;
  }
  let read: { of: DepthNorms; threshold: number | null; blocks: BlockNorms[] } | null = null;

  const norms = () => mine<DepthNorms>("depth_norms", ["image_index"]);
  function blocks(): readonly BlockNorms[] {
    const [of, threshold] = [norms(), store.get("depth_threshold")];
    if (!of) return [];
    if (read?.of !== of || read.threshold !== threshold)
      read = { of, threshold, blocks: blocksOf(of, threshold) };
    return read.blocks;
  }
  // not from what Python says of the layer: that comes later than the next step of an arrow key
  const at = () => norms()?.layers[store.get("layer")] ?? -1;
  function out(): Uint8Array {
    const block = blocks()[at()];
    return block ? standing(block) : new Uint8Array();
  }
  return {
    norms,
    blocks,
    at,
    out,
    leftOut(patches) {
      const set = store.get("depth_without") ? out() : null;
      return set && set.length === patches && set.includes(1) ? set : null;
    },
    curves: () => mine<DepthCurves>("depth_curves", ["image_index"]),
    cka: () => mine<DepthCka>("depth_cka", ["image_index"]),
    attention: () => mine<DepthAttention>("depth_attention", ["layer", "query", "image_index"]),
    prefix: () => mine<DepthPrefix>("depth_prefix", ["layer", "image_index"]),
    object() {
      const found = mine<DepthObject>("depth_object", ["layer", "image_index"]);
      const asked = [store.get("depth_without"), store.get("depth_threshold")] as const;
      return found && cutAs(found, ...asked) ? found : null;
    },
    show(block) {
      const layer = norms()?.layers.indexOf(block) ?? -1;
      if (layer >= 0) store.set("layer", layer);
    },
  };
}
