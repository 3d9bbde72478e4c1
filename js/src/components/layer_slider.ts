// One step per attention record: the block's name, a curve of any number per layer, play.

import { plain } from "../lib/format";
import { clampIndex } from "../lib/geometry";
import type { LayerSliderState } from "../lib/state";
import { isPacked, unpack } from "../lib/wire";
import { attribute, el, listen, onResize, setText } from "./dom";
import type { View } from "./view";

const STEP_MS = 700;
const NARROWEST_TICK = 26; // pixels

export function drawLayerSlider(element: HTMLElement, view: View<LayerSliderState>): void {
  const { store, signal } = view;
  const title = el("span", "vw-title");
  const name = el("span", "vw-muted vw-ellipsis");
  const caption = el("span", "vw-muted vw-ellipsis");
  const value = el("span", "vw-number");
  const play = el("button", "vw-button vw-play", { type: "button" });
  const curve = el("div", "vw-curve", { "aria-hidden": "true" });
  const marker = el("div", "vw-marker", { "aria-hidden": "true" });
  const input = el("input", "vw-range vw-layer-range", {
    type: "range",
    min: 0,
    step: 1,
    "aria-label": "layer",
  });
  const fill = el("div", "vw-track-fill");
  const ticks = el("div", "vw-ticks", { "aria-hidden": "true" });
  element.classList.add("vw-layer-slider");
  element.append(
    el(
      "div",
      "vw-bar",
      {},
      el("div", "vw-heading", {}, title, name),
      el("div", "vw-heading vw-heading-end", {}, caption, value, play),
    ),
    el("div", "vw-scale", {}, curve, el("div", "vw-track", {}, fill), marker, input, ticks),
  );

  const count = () => store.get("layer_labels").length;
  let values: ArrayLike<number> = [];

  function choose(layer: number): void {
    store.update({ layer: clampIndex(layer, count()), playing: false });
  }
  listen(input, "input", () => choose(Number(input.value)), signal);
  listen(play, "click", () => store.set("playing", !store.get("playing")), signal);

  // One timer per step, begun anew by every change of layer: two views of one widget keep one pace.
  let timer = 0;
  function schedule(): void {
    clearTimeout(timer);
    if (!store.get("playing") || count() < 2) return;
    timer = window.setTimeout(() => {
      store.set("layer", (clampIndex(store.get("layer"), count()) + 1) % count());
    }, STEP_MS);
  }
  for (const key of ["playing", "layer", "layer_labels"] as const) store.on(key, schedule, signal);
  signal.addEventListener("abort", () => clearTimeout(timer));
  schedule();

  function drawScale(): void {
    const n = count();
    const packed = store.get("layer_values");
    values = isPacked(packed) ? unpack(packed).codes : [];
    curve.replaceChildren(...(values.length > 1 ? [sparkline(values)] : []));
    attribute(element, { "data-curve": values.length > 1 });
    input.max = String(Math.max(0, n - 1));
    input.disabled = n < 2;
    play.hidden = n < 2;
    drawTicks(n);
    draw();
  }

  // A hidden view has no width; it keeps the ticks that it had until it is seen again.
  function drawTicks(n: number): void {
    const width = ticks.clientWidth;
    if (width === 0 && ticks.childElementCount > 0) return;
    const room = Math.max(2, Math.floor(width / NARROWEST_TICK));
    const every = n <= room ? 1 : ([2, 3, 4, 5, 6, 8, 10, 12, 20].find((k) => n / k <= room) ?? n);
    ticks.replaceChildren(
      ...Array.from({ length: Math.ceil(n / every) }, (_, i) => {
        const tick = el("span", "vw-tick", {}, String(i * every));
        tick.style.setProperty("--vw-at", String(position(i * every, n)));
        return tick;
      }),
    );
  }

  function draw(): void {
    const n = count();
    const layer = clampIndex(store.get("layer"), n);
    const label = store.get("layer_labels")[layer] ?? "";
    setText(title, n === 0 ? "No layers" : `Layer ${layer}`);
    setText(name, label);
    attribute(name, { title: label });
    setText(caption, values.length ? store.get("layer_caption") : "");
    setText(value, layer < values.length ? plain(values[layer]) : "");
    setText(play, store.get("playing") ? "Pause" : "Play");
    attribute(play, { "aria-pressed": String(store.get("playing")) });
    if (input.value !== String(layer)) input.value = String(layer);
    const number = value.textContent ? `, ${caption.textContent} ${value.textContent}` : "";
    attribute(input, { "aria-valuetext": n ? `layer ${layer}, ${label}${number}` : "no layers" });
    element.style.setProperty("--vw-at", String(position(layer, n)));
  }

  view.paintOn(["layer", "playing", "layer_caption"], draw);
  view.paintOn(["layer_labels", "layer_values"], drawScale);
  onResize(ticks, () => drawTicks(count()), signal);
}

function position(layer: number, count: number): number {
  return count > 1 ? layer / (count - 1) : 0;
}

/** A line over its area; gaps where a layer has no number. */
function sparkline(values: ArrayLike<number>): Element {
  const known = Array.from(values).filter((v) => !Number.isNaN(v));
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const spread = high - low || Math.abs(high) || 1;
  const base = low >= 0 ? Math.max(0, low - 0.6 * spread) : low - 0.6 * spread;
  const top = high + 0.15 * spread;
  const y = (v: number) => 40 * (1 - (v - base) / (top - base));
  let line = "";
  let area = "";
  let start = -1;
  for (let i = 0; i <= values.length; i++) {
    const missing = i === values.length || Number.isNaN(values[i]);
    if (missing && start >= 0) {
      area += `L${i - 1} 40L${start} 40Z`;
      start = -1;
    }
    if (missing) continue;
    const point = `${start < 0 ? "M" : "L"}${i} ${y(values[i]).toFixed(2)}`;
    if (start < 0) start = i;
    line += point;
    area += point;
  }
  // parsed, not created: numbers only, and the parser knows the namespace
  const box = el("div");
  box.innerHTML = `<svg class="vw-sparkline" viewBox="0 0 ${values.length - 1} 40" preserveAspectRatio="none">
    <path class="vw-sparkline-area" d="${area}"/>
    <path class="vw-sparkline-line" d="${line}" vector-effect="non-scaling-stroke"/></svg>`;
  return box.firstElementChild as Element;
}
