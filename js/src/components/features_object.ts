// The object that a normalised cut of the patches finds.
import { signedHeat } from "../lib/patch_features";
import type { PatchFeaturesState } from "../lib/state";
import { isPacked, unpack } from "../lib/wire";
import { answerOf, type FeatureView, frameOf, line, toggle, valueAt } from "./features_view";
import { slider } from "./overlay_controls";
import type { View } from "./view";

export function objectView(view: View<PatchFeaturesState>): FeatureView {
  const { store } = view;
  const answer = () => answerOf(store, store.get("object_cut"));
  return {
    what: "TokenCut: the patches are cut in two where they hang together least.",
    controls: [
      slider(view, "features_tau", { min: -1, label: "least cosine (τ)" }, (tau) => tau.toFixed(2)),
      toggle(view, "features_refined", "mask follows the edges of the picture"),
    ],
    answer,
    over() {
      const found = answer();
      if (!found || !isPacked(found.eigenvector) || !isPacked(found.mask)) return {};
      const { codes, shape } = unpack(found.eigenvector);
      const fine = isPacked(found.pixels) ? unpack(found.pixels) : null;
      return {
        heat: signedHeat(codes, shape[0], shape[1]),
        outlined: fine ? [] : [unpack(found.mask).codes],
        silhouette: fine && { rows: fine.shape[0], cols: fine.shape[1], marks: fine.codes },
        frame: frameOf(found.box),
      };
    },
    number(place) {
      const value = valueAt(answer()?.eigenvector ?? null, place);
      return value === null ? null : `eigenvector ${value.toFixed(3)}`;
    },
    lines() {
      const found = answer();
      if (!found || !isPacked(found.mask)) return [];
      const count = (marks: ArrayLike<number>) =>
        String(Array.from(marks).filter((one) => one > 0).length);
      return [
        line("patches in the object", count(unpack(found.mask).codes)),
        ...(isPacked(found.pixels)
          ? [line("pixels in the refined mask", count(unpack(found.pixels).codes))]
          : []),
      ];
    },
  };
}
