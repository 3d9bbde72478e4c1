// How the map is laid over the image: every control states its value.
import { COLORMAPS } from "../lib/colormap";
import { percent } from "../lib/format";
import type { OverlayState, PatchOverlayState } from "../lib/state";
import { attribute, el, listen, setText } from "./dom";
import { menu } from "./menu";
import type { View } from "./view";

export function drawOverlayControls(element: HTMLElement, view: View<PatchOverlayState>): void {
  drawImageControls(element, view);
  const contour = slider(view, "contour", { max: 0.95 }, (value) =>
    value > 0 ? percent(value) : "off",
  );
  element.lastElementChild?.before(contour);
}

/** Those of any map over an image. */
export function drawImageControls<S extends OverlayState>(
  element: HTMLElement,
  view: View<S>,
): void {
  const drawing = menu(view, "drawing", "drawing", [
    { value: "smooth", text: "smooth" },
    { value: "patches", text: "patches" },
  ]);
  const map = menu(
    view,
    "colormap",
    "colour map",
    COLORMAPS.map((name) => ({ value: name, text: name })),
  );
  element.classList.add("vw-controls");
  element.append(
    slider(view, "opacity", {}, (value) => value.toFixed(2)),
    line("drawing", drawing),
    line("map", map),
  );
}

function line(label: string, ...controls: HTMLElement[]): HTMLElement {
  return el("div", "vw-control", {}, el("span", "vw-muted", {}, label), ...controls);
}

/** A number to slide, with its value in words. */
export function slider<K extends string, S extends Record<K, number>>(
  view: View<S>,
  key: K,
  { min = 0, max = 1, step = 0.05, label = key as string },
  words: (value: number) => string,
): HTMLElement {
  const input = el("input", "vw-range vw-small-range", {
    type: "range",
    min,
    max,
    step,
    "aria-label": label,
  });
  const value = el("output", "vw-number");
  listen(input, "input", () => view.store.set(key, Number(input.value) as S[K]), view.signal);
  view.paintOn([key], () => {
    const now = view.store.get(key);
    if (Number(input.value) !== now) input.value = String(now);
    setText(value, words(now));
    attribute(input, { "aria-valuetext": words(now) });
    input.style.setProperty("--vw-at", String((now - min) / (max - min)));
  });
  return line(label, input, value);
}
