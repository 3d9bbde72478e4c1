// Patches that k-means puts together.
import { segmentColour, segmentPixels } from "../lib/patch_features";
import type { PatchFeaturesState } from "../lib/state";
import { isPacked, unpack } from "../lib/wire";
import { answerOf, type FeatureView, line, valueAt } from "./features_view";
import { slider } from "./overlay_controls";
import { rgbaPixels } from "./pixels";
import type { View } from "./view";

export function segmentsView(view: View<PatchFeaturesState>, fitted: HTMLElement): FeatureView {
  const { store } = view;
  const answer = () => answerOf(store, store.get("segments"));
  return {
    what: "Patches that k-means puts together, by their features alone.",
    controls: [
      slider(view, "features_k", { min: 1, max: 64, step: 1, label: "segments" }, String),
      fitted,
    ],
    answer,
    over() {
      const labels = answer()?.labels ?? null;
      if (!isPacked(labels)) return {};
      const { codes, shape } = unpack(labels);
      return { cells: rgbaPixels(segmentPixels(codes), shape[1]) };
    },
    number(place) {
      const segment = valueAt(answer()?.labels ?? null, place);
      return segment === null ? null : `segment ${segment}`;
    },
    lines: () =>
      (answer()?.sizes ?? []).map((size, i) =>
        line(`segment ${i}`, `${size} patches`, `rgb(${segmentColour(i).join()})`),
      ),
  };
}
