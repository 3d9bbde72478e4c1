// A picture with a neuron's map over it: what all of them have in common.
import { fade } from "../lib/neuron_scale";
import type { NeuronPageState } from "../lib/state";
import type { Store } from "../lib/store";
import type { OverlayScene } from "./overlay_painter";

type Drawn = Pick<OverlayScene, "photo" | "heat" | "map"> & Partial<OverlayScene>;

export function neuronScene(store: Store<NeuronPageState>, drawn: Drawn): OverlayScene {
  return {
    values: null,
    asked: null,
    colormap: store.get("colormap"),
    opacity: store.get("opacity"),
    fade,
    drawing: store.get("drawing"),
    contour: 0,
    query: null,
    pins: [],
    pointed: null,
    ...drawn,
  };
}

/** The map alone, in place of the picture. */
export const ALONE = { photo: null, opacity: 1, fade: () => 1 };
