// What the parts of the page of heads share: the numbers that are about what is selected, which
// heads are selected, and one way to choose them.
import {
  chosenPairs,
  type Grid,
  gridOf,
  type HeadCurve,
  type HeadImportance,
  type HeadMap,
  type HeadNumber,
  type HeadPatterns,
  type HeadStatistics,
  IMPORTANCE,
  type Pair,
  patternGrid,
  removedHeads,
  STATISTICS,
  together,
  togglePair,
} from "../lib/dashboard";
import { type Explained, isOf } from "../lib/explained";
import type { HeadDashboardState } from "../lib/state";
import { type Local, local } from "../lib/store";
import type { View } from "./view";

export const DASHBOARD_KEYS = [
  ...(["layer", "head", "image_index", "heads_number", "heads_over", "explained"] as const),
  ...(["heads_selected", "heads_removed", "heads_first", "heads_k", "heads_curve"] as const),
  ...(["heads_statistics", "heads_importance", "heads_patterns", "colormap"] as const),
] as const;

export interface DashboardModel {
  statistics(): HeadStatistics | null;
  importance(): HeadImportance | null;
  curve(): HeadCurve | null;
  patterns(): HeadPatterns | null;
  map(): HeadMap | null;
  /** A number of every head, or null while it is on its way or unknown. */
  grid(number: HeadNumber): Grid | null;
  /** Why a number is not known, or not of all layers; "" where there is nothing to say. */
  reason(number: HeadNumber): string;
  current(): Pair;
  /** The selected heads; the one in view where none are. */
  chosen(): Pair[];
  /** Heads that the scrubber greys out. */
  removed(): number[][];
  /** Shows a head. */
  show(pair: Pair): void;
  select(pairs: readonly Pair[], add: boolean): void;
  toggle(pair: Pair): void;
  /** The head under the pointer in one of the parts. */
  pointed: Local<Pair | null>;
}

export function dashboardModel(view: View<HeadDashboardState>): DashboardModel {
  const { store, signal } = view;
  const pointed = local<Pair | null>(null);

  function mine<T>(trait: "heads_statistics" | "heads_importance" | "heads_curve"): T | null {
    const found = store.get(trait) as {
      image_index?: number;
      over?: string;
      explained?: Explained;
    };
    const over = store.get("heads_over");
    const here = over === "all images" || found.image_index === store.get("image_index");
    if (found.over !== over || !here) return null;
    if (trait !== "heads_statistics" && !isOf(found.explained, store.get("explained"))) return null;
    return found as T;
  }
  const statistics = () => mine<HeadStatistics>("heads_statistics");
  const importance = () => mine<HeadImportance>("heads_importance");
  const curve = () => mine<HeadCurve>("heads_curve");
  function patterns(): HeadPatterns | null {
    const found = store.get("heads_patterns") as Partial<HeadPatterns>;
    const same = found.image_index === store.get("image_index") && found.k === store.get("heads_k");
    return same ? (found as HeadPatterns) : null;
  }
  function map(): HeadMap | null {
    const found = store.get("heads_map") as Partial<HeadMap>;
    const same = (["layer", "query", "image_index"] as const).every(
      (key) => found[key] === store.get(key),
    );
    return same ? (found as HeadMap) : null;
  }
  function grid(number: HeadNumber): Grid | null {
    const of = statistics();
    const first = of && gridOf(of.values, 0);
    if (number === "pattern") {
      const found = patterns();
      return found?.of.length && first ? patternGrid(found, first) : null;
    }
    const at = (STATISTICS as readonly string[]).indexOf(number);
    if (at >= 0) return of && gridOf(of.values, at);
    const found = importance();
    return found && gridOf(found.values, (IMPORTANCE as readonly string[]).indexOf(number));
  }
  function reason(number: HeadNumber): string {
    if (number === "pattern") return patterns()?.note ?? "";
    return statistics()?.reasons[number] ?? importance()?.reasons[number] ?? "";
  }
  /** Brings `head` and `heads` to what is selected of a layer. */
  function choose(selected: number[][], layer: number, head: number): void {
    store.update({ heads_selected: selected, layer, ...together(selected, layer, head) });
  }
  // the selection of a layer is shown wherever the layer is
  let last = store.get("layer");
  store.on(
    "layer",
    () => {
      if (store.get("layer") === last) return;
      last = store.get("layer");
      const selected = store.get("heads_selected");
      if (!view.open() || selected.length === 0) return;
      const head = store.get("head");
      const { heads } = together(selected, last, head);
      store.set("heads", heads.includes(head) ? heads : []);
    },
    signal,
  );
  return {
    statistics,
    importance,
    curve,
    patterns,
    map,
    grid,
    reason,
    current: () => [store.get("layer"), store.get("head")],
    chosen() {
      const selected = store.get("heads_selected").map(([layer, head]) => [layer, head] as const);
      return selected.length ? selected : [[store.get("layer"), store.get("head")]];
    },
    removed() {
      const found = curve();
      return found ? removedHeads(found, store.get("heads_first"), store.get("heads_removed")) : [];
    },
    show([layer, head]) {
      last = layer;
      const { heads } = together(store.get("heads_selected"), layer, head);
      store.update({ layer, head, heads: heads.includes(head) ? heads : [] });
    },
    select(pairs, add) {
      const selected = chosenPairs(store.get("heads_selected"), pairs, add);
      const [layer, head] = [store.get("layer"), store.get("head")];
      const here = selected.some(([of]) => of === layer);
      const [to, one] = here || selected.length === 0 ? [layer, head] : selected[0];
      last = to;
      choose(selected, to, one);
    },
    toggle(pair) {
      last = pair[0];
      choose(togglePair(store.get("heads_selected"), pair), pair[0], pair[1]);
    },
    pointed,
  };
}
