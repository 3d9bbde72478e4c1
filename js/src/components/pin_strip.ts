// Pinned queries side by side: the same layer and head, one small picture each.
import { tokenLabel, tokenName } from "../lib/format";
import { pinLetter, togglePin } from "../lib/selection";
import type { PatchOverlayState } from "../lib/state";
import { attribute, context2d, el, hasFocus, listen, setText, sizeCanvas } from "./dom";
import { paintOverlay } from "./overlay_painter";
import type { photoCache } from "./photo";
import { sceneOf } from "./scene";
import { type AttentionView, tokensOf } from "./view";

interface Pin {
  item: HTMLElement;
  canvas: HTMLCanvasElement;
  show: HTMLButtonElement;
  label: HTMLElement;
  close: HTMLButtonElement;
}

const HEIGHT = 84;

export function drawPinStrip(
  element: HTMLElement,
  view: AttentionView<PatchOverlayState>,
  photoOf: ReturnType<typeof photoCache>,
): void {
  const { store, signal, attention } = view;
  element.classList.add("vw-pins");
  attribute(element, { role: "group", "aria-label": "pinned queries" });
  let pins: Pin[] = [];

  function make(index: number): Pin {
    const canvas = el("canvas", "vw-pin-canvas", { "aria-hidden": "true" });
    const label = el("span", "vw-ellipsis");
    const show = el("button", "vw-pin-show", { type: "button" }, canvas);
    const close = el("button", "vw-pin-close", { type: "button" }, "×");
    const line = el("span", "vw-pin-label", {}, el("b", "", {}, pinLetter(index)), label, close);
    const token = () => store.get("pins")[index];
    listen(show, "click", () => store.set("query", token()), signal);
    listen(close, "click", () => store.set("pins", togglePin(store.get("pins"), token())), signal);
    return { item: el("div", "vw-pin", {}, show, line), canvas, show, label, close };
  }

  function draw(): void {
    const tokens = store.get("pins");
    const shown = attention.shown();
    const names = tokensOf(attention);
    // a matrix, and what a single token asks, are the same for every pin
    const fixed = shown?.layer?.kind === "matrix" || Boolean(names?.only);
    element.hidden = tokens.length === 0 || fixed;
    if (element.hidden) {
      pins = [];
      element.replaceChildren();
      return;
    }
    const focusLost = pins.length > tokens.length && hasFocus(element);
    while (pins.length > tokens.length) pins.pop()?.item.remove();
    while (pins.length < tokens.length) {
      pins.push(make(pins.length));
      element.append((pins.at(-1) as Pin).item);
    }
    if (focusLost) pins.at(-1)?.close.focus();
    const photo = photoOf(attention.image());
    const layer = shown?.layer;
    const aspect = photo ? photo.width / photo.height : layer ? layer.cols / layer.rows : 1;
    const width = Math.round(Math.max(48, Math.min(150, HEIGHT * aspect)));
    tokens.forEach((token, i) => {
      const { canvas, show, label, close, item } = pins[i];
      const name = tokenName(token, names);
      setText(label, tokenLabel(token, names).replace("patch ", ""));
      const picture = attention.of(token);
      attribute(show, {
        "aria-pressed": String(token === store.get("query")),
        "aria-label": `show pin ${pinLetter(i)}, ${name}`,
      });
      attribute(close, { "aria-label": `unpin ${name}`, title: "unpin" });
      attribute(item, { "data-waiting": picture === null, "data-token": token });
      item.style.width = `${width}px`;
      canvas.style.height = `${HEIGHT}px`;
      if (!sizeCanvas(canvas, width, HEIGHT)) return;
      const scene = { ...sceneOf(view, shown, picture, photo), pins: [], contour: 0 };
      const box = { x: 0, y: 0, width: canvas.width, height: canvas.height };
      paintOverlay(context2d(canvas), box, (devicePixelRatio || 1) * 0.75, scene);
    });
  }
  view.paintRow(draw);
  view.paintOn(["pins", "opacity", "drawing", "colormap"], draw);
  view.theme.on(() => view.paint(draw));
}
