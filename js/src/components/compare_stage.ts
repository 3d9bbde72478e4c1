// The map that is chosen, large: the picture of the pages about tokens on a store of its own, whose
// image and patches are those of this map.
import { cellsUnder, comparedHeat } from "../lib/comparison";
import { type Axis, type Place, placeIn } from "../lib/geometry";
import type { RawAxis } from "../lib/packet";
import type { CompareMapsState, TokenPageState } from "../lib/state";
import type { Store } from "../lib/store";
import type { Comparison } from "./compare_model";
import { drawPatchStage, type PatchStage } from "./patch_stage";
import type { View } from "./view";

export interface CompareStage extends PatchStage {
  /** The patch that is compared, of the map that is chosen: the one pointed at, or else selected. */
  place(): Place | null;
}

export function drawCompareStage(
  element: HTMLElement,
  view: View<CompareMapsState>,
  found: Comparison,
): CompareStage {
  const { store } = view;
  const own = storeOfChosen(store, found);
  const chosen: View<TokenPageState> = {
    ...view,
    store: own,
    paintOn(keys, draw) {
      for (const key of keys) own.on(key, () => view.paint(draw), view.signal);
      view.paint(draw);
    },
  };
  const stage: PatchStage = drawPatchStage(element, chosen, {
    label: () => `${found.method(found.column())} of ${found.name(found.row())}`,
    over() {
      const [map, tokens] = [found.map(found.row(), found.column()), found.tokens()];
      if (!map || !tokens) return {};
      const pointed = stage.pointed.get();
      return {
        heat: comparedHeat(map, found.scale(found.column()), store.get("compare_scale")),
        map: map.axis,
        pointed: null,
        outlined: pointed ? [cellsUnder(pointed, tokens.asked, map.axis)] : [],
      };
    },
  });
  view.paintOn(["compare_scale"], stage.repaint);
  return {
    ...stage,
    place() {
      const tokens = found.tokens();
      return tokens && (stage.pointed.get() ?? placeIn(store.get("query"), tokens));
    },
  };
}

/** What of the state is that of the map: all else is the page's own. */
function storeOfChosen(store: Store<CompareMapsState>, found: Comparison): Store<TokenPageState> {
  const page = store as unknown as Store<TokenPageState>;
  const source = [
    ...(["compare_rows", "image_index", "compare_model", "attribution_method"] as const),
  ];
  return {
    ...page,
    get(key) {
      if (key === "image") return (found.rows()[found.row()]?.picture ?? {}) as never;
      if (key === "token_layer") return layerOf(store, found) as never;
      return key === "pins" ? ([] as never) : page.get(key);
    },
    on(key, changed, signal) {
      if (key !== "image" && key !== "token_layer") return page.on(key, changed, signal);
      for (const one of source) store.on(one, changed, signal);
    },
  };
}

function layerOf(store: Store<CompareMapsState>, found: Comparison): TokenPageState["token_layer"] {
  const tokens = found.tokens();
  if (!tokens) return {};
  const [layer, image_index] = [store.get("layer"), store.get("image_index")];
  const [axis, reference] = [rawAxis(tokens.asked), rawAxis(tokens.reference)];
  return { layer, image_index, block: "", axis, reference, note: "" };
}

function rawAxis({ rows, cols, names, extent }: Axis): RawAxis {
  const { top, left, bottom, right } = extent;
  return { grid: [rows, cols], prefix: [...names], box: [top, left, bottom, right] };
}
