// What each way to see the features of patches gives the page that shows it.
import { type Axis, boxOf, type Place, placeAt } from "../lib/geometry";
import type { None } from "../lib/neuron";
import { type RawAxis, readAxis } from "../lib/packet";
import { answered } from "../lib/patch_features";
import type { PatchFeaturesState } from "../lib/state";
import { isPacked, type MaybePacked, unpack } from "../lib/wire";
import { el, listen } from "./dom";
import type { OverlayScene } from "./overlay_painter";
import type { Photo } from "./photo";
import type { View } from "./view";

export type FeatureStore = View<PatchFeaturesState>["store"];

/** What every answer says of itself. */
export interface Said {
  axis: RawAxis | None;
  note: string;
}

export interface FeatureView {
  /** One sentence: what is seen. */
  what: string;
  /** Its own settings. */
  controls: HTMLElement[];
  /** Below the numbers: a crop, a picture for each head. */
  below?: HTMLElement;
  /** The answer for what is selected, or null while it is on its way. */
  answer(): Said | null;
  /** What lies over the picture. */
  over(): Partial<OverlayScene>;
  /** The number of a patch, "cosine 0.42"; null where there is none. */
  number(place: Place): string | null;
  /** Numbers beside the picture. */
  lines(): HTMLElement[];
  /** Draws what is below; `photo` is the picture in view. */
  draw?(photo: Photo | null): void;
}

/** The answer in a trait, if it is about what is selected. */
export function answerOf<T extends object>(store: FeatureStore, found: T | None): T | null {
  return answered<T>(found, (key) => store.get(key));
}

/** The patches of an answer, where they are not those of the layer. */
export function ownAxis({ axis }: Said): Axis | null {
  return "grid" in axis ? readAxis(axis as RawAxis) : null;
}

/** The patch of another grid that holds the centre of this one. */
export function placeOn(place: Place, from: Axis, to: Axis): Place | null {
  const { x, y, width, height } = boxOf(place, from);
  return placeAt(x + width / 2, y + height / 2, to);
}

/** The value of a patch, of arrays whose last axes are row and col. */
export function valueAt(packed: MaybePacked, { row, col }: Place): number | null {
  if (!isPacked(packed)) return null;
  const { codes, shape } = unpack(packed);
  return codes[row * (shape.at(-1) ?? 0) + col];
}

/** A name and a number, with the colour that stands for it. */
export function line(name: string, value: string, colour?: string): HTMLElement {
  const swatch = el("span", "vw-swatch");
  if (colour) swatch.style.background = colour;
  return el(
    "div",
    "vw-control",
    {},
    ...(colour ? [swatch] : []),
    el("span", "vw-muted", {}, name),
    el("span", "vw-number", {}, value),
  );
}

/** A setting in words: its name, and what it can be. */
export function setting(name: string, ...controls: HTMLElement[]): HTMLElement {
  return el("div", "vw-control vw-setting", {}, el("span", "vw-muted", {}, name), ...controls);
}

/** A setting that is on or off. */
export function toggle(
  view: View<PatchFeaturesState>,
  key: "features_foreground" | "features_refined",
  text: string,
): HTMLElement {
  const box = el("input", "", { type: "checkbox" });
  listen(box, "change", () => view.store.set(key, box.checked), view.signal);
  view.paintOn([key], () => {
    box.checked = view.store.get(key);
  });
  return el("label", "vw-control vw-toggle", {}, box, el("span", "", {}, text));
}

/** Top, left, bottom, right as an extent; null for nothing. */
export function frameOf([top, left, bottom, right]: readonly number[]): OverlayScene["frame"] {
  return right === undefined ? null : { top, left, bottom, right };
}
