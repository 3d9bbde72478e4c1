// From the selection to what is drawn: shared by the large picture, the pins and the PNG.
import type { Picture, Shown } from "../lib/attention";
import { placeOf } from "../lib/geometry";
import { meanHeat, valuesOf } from "../lib/heat";
import { pinLetter } from "../lib/selection";
import type { PatchOverlayState } from "../lib/state";
import type { OverlayScene } from "./overlay_painter";
import type { Photo } from "./photo";
import { type AttentionView, queryOf } from "./view";

/** Everything there is to draw for a row of the layer and heads on screen. */
export function sceneOf(
  view: AttentionView<PatchOverlayState>,
  shown: Shown | null,
  picture: Picture | null,
  photo: Photo | null,
): OverlayScene {
  const { store } = view;
  const found = picture?.packet.layers[shown?.layerIndex ?? 0] ?? null;
  const layer = found?.kind === "image" && found.heads === shown?.layer?.heads ? found : null;
  const heads = shown?.heads ?? [0];
  const contour = store.get("contour");
  return {
    photo,
    heat: layer && picture ? meanHeat(layer, picture.row, heads) : null,
    values: layer && picture && contour > 0 ? valuesOf(layer, picture.row, heads) : null,
    grid: layer,
    colormap: store.get("colormap"),
    opacity: store.get("opacity"),
    drawing: store.get("drawing"),
    contour,
    query: layer ? placeOf(queryOf(picture) ?? -1, layer) : null,
    pins: store.get("pins").flatMap((pin, i) => {
      const place = layer && placeOf(pin, layer);
      return place ? [{ place, letter: pinLetter(i) }] : [];
    }),
    pointed: null,
  };
}
