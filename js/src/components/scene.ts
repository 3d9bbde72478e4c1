// From the selection to what is drawn: shared by the large picture, the pins and the PNG.
import type { Picture, Shown } from "../lib/attention";
import { placeIn } from "../lib/geometry";
import { meanHeat, valuesOf } from "../lib/heat";
import { hasRow } from "../lib/packet";
import { pinLetter } from "../lib/selection";
import type { PatchOverlayState } from "../lib/state";
import { emptyScene, type OverlayScene } from "./overlay_painter";
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
  const row = layer && picture && hasRow(layer, picture.row) ? picture.row : null;
  const selected = layer?.only ? null : layer;
  return {
    ...emptyScene(store),
    photo,
    heat: layer && row !== null ? meanHeat(layer, row, heads) : null,
    values: layer && row !== null && contour > 0 ? valuesOf(layer, row, heads).map(Math.abs) : null,
    map: layer,
    asked: layer?.asked ?? null,
    contour,
    query: selected && placeIn(queryOf(picture) ?? -1, selected),
    pins: store.get("pins").flatMap((pin, i) => {
      const place = selected && placeIn(pin, selected);
      return place ? [{ place, letter: pinLetter(i) }] : [];
    }),
  };
}
