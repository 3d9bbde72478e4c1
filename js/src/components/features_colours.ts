// Three principal components of the patches as colours.
import { percent } from "../lib/format";
import { opaque } from "../lib/patch_features";
import type { PatchFeaturesState } from "../lib/state";
import { isPacked, unpack } from "../lib/wire";
import { answerOf, type FeatureView, line, toggle } from "./features_view";
import { rgbaPixels } from "./pixels";
import type { View } from "./view";

export function coloursView(view: View<PatchFeaturesState>, fitted: HTMLElement): FeatureView {
  const { store } = view;
  const answer = () => answerOf(store, store.get("colours"));
  return {
    what: "Three principal components of the patches, as red, green and blue.",
    controls: [fitted, toggle(view, "features_foreground", "foreground alone")],
    answer,
    over() {
      const found = answer();
      if (!found || !isPacked(found.values)) return {};
      const { codes, shape } = unpack(found.values);
      const mask = isPacked(found.mask) ? unpack(found.mask).codes : undefined;
      return { cells: rgbaPixels(opaque(codes, mask), shape[2]), outlined: mask ? [mask] : [] };
    },
    number: () => null,
    lines: () =>
      (answer()?.explained ?? []).map((share, i) =>
        line(`component ${i + 1}, of the variance`, percent(share)),
      ),
  };
}
