// The methods with small pictures of their maps: a click shows one large, and makes it if need be.
import { type AttributionList, type Method, thumbnail, withSetting } from "../lib/attribution";
import { colormapFor, pixelTable } from "../lib/colormap";
import { type Extent, WHOLE } from "../lib/geometry";
import { type RawAxis, readAxis } from "../lib/packet";
import type { AttributionsState } from "../lib/state";
import { attribute, context2d, el, listen, setText } from "./dom";
import type { Photo } from "./photo";
import { cellCanvas } from "./pixels";
import type { View } from "./view";

const SIDE = 96; // pixels of a small picture, on any screen

const STATE: Record<Method["state"], string> = {
  off: "not made",
  waiting: "waiting",
  made: "",
  stopped: "stopped",
  failed: "cannot",
};

export function drawMethods(
  element: HTMLElement,
  view: View<AttributionsState>,
  list: () => AttributionList | null,
): (photo: Photo | null) => void {
  const { store, signal } = view;
  element.classList.add("vw-attribution-methods");
  attribute(element, { role: "group", "aria-label": "methods" });
  listen(
    element,
    "click",
    (event) => {
      const item = event.target instanceof Element ? event.target.closest("[data-method]") : null;
      if (item) store.set("attribution_method", String(item.getAttribute("data-method")));
    },
    signal,
  );

  function item(): HTMLElement {
    return el(
      "button",
      "vw-attribution-method",
      { type: "button" },
      el("canvas", "", { width: SIDE, height: SIDE, "aria-hidden": "true" }),
      el("b"),
      el("span", "vw-muted"),
    );
  }
  function paint(canvas: HTMLCanvasElement, photo: Photo | null, at: number): void {
    const context = context2d(canvas);
    const found = list();
    const heat = found && thumbnail(found.values, at);
    context.clearRect(0, 0, SIDE, SIDE);
    if (photo) context.drawImage(photo.muted, 0, 0, SIDE, SIDE);
    if (!heat || !found) return;
    const { top, left, bottom, right }: Extent =
      "grid" in found.grid ? readAxis(found.grid as RawAxis).extent : WHOLE;
    const table = pixelTable(colormapFor(heat, store.get("colormap")), (size) => 0.25 + size);
    context.imageSmoothingEnabled = false;
    context.drawImage(
      cellCanvas(heat, table),
      left * SIDE,
      top * SIDE,
      (right - left) * SIDE,
      (bottom - top) * SIDE,
    );
  }
  return function draw(photo) {
    const methods = list()?.methods ?? [];
    while (element.childElementCount > methods.length) element.lastElementChild?.remove();
    while (element.childElementCount < methods.length) element.append(item());
    methods.forEach((method, at) => {
      const button = element.children[at];
      const [canvas, name, said] = button.children;
      const state = STATE[method.state];
      attribute(button, {
        "data-method": method.name,
        "data-state": method.state,
        "aria-pressed": String(method.name === store.get("attribution_method")),
        title: method.note || method.about,
      });
      setText(name, method.words);
      setText(
        said,
        [state, method.state === "failed" ? "" : method.cost].filter(Boolean).join(" · "),
      );
      paint(canvas as HTMLCanvasElement, photo, at);
    });
  };
}

/** What can be chosen of the method that is shown large. */
export function drawSettings(
  element: HTMLElement,
  view: View<AttributionsState>,
  method: () => Method | null,
): () => void {
  const { store, signal } = view;
  const chosen = (name: string) => store.get("attribution_settings")[method()?.name ?? ""]?.[name];
  let drawn = "";

  function set(name: string, value: string | number): void {
    const [now, one] = [method(), method()?.settings.find((setting) => setting.name === name)];
    if (!now || !one) return;
    const settings = store.get("attribution_settings");
    store.set("attribution_settings", withSetting(settings, now.name, one, value));
  }
  function control(one: Method["settings"][number]): HTMLElement {
    const label = el("span", "vw-muted", {}, one.words);
    if (one.kind === "number") {
      const { low: min, high: max, step } = one;
      const input = el("input", "vw-number-input", { type: "number", min, max, step });
      attribute(input, { "aria-label": one.words, "data-setting": one.name });
      input.value = String(chosen(one.name) ?? one.default);
      listen(input, "change", () => set(one.name, Number(input.value)), signal);
      return el("label", "vw-control vw-setting", {}, label, input);
    }
    const options =
      one.kind === "layer"
        ? [
            ["own", "its own"],
            ["in view", "layer in view"],
          ]
        : one.choices.map((c) => [c, c]);
    const select = el(
      "select",
      "vw-menu",
      { "aria-label": one.words, "data-setting": one.name },
      ...options.map(([value, text]) => el("option", "", { value }, text)),
    );
    select.value = String(chosen(one.name) ?? one.default ?? "own");
    listen(select, "change", () => set(one.name, select.value), signal);
    return el("label", "vw-control vw-setting", {}, label, select);
  }
  return function draw() {
    const now = method();
    const key = JSON.stringify([now?.name, store.get("attribution_settings")[now?.name ?? ""]]);
    if (key === drawn) return; // a control in use stays
    drawn = key;
    element.replaceChildren(...(now?.settings ?? []).map(control));
  };
}
