// The images given: one small picture each.
import type { PageState } from "../lib/state";
import { isPacked, unpack } from "../lib/wire";
import { attribute, el, listen } from "./dom";
import { rgbCanvas } from "./pixels";
import type { View } from "./view";

export function drawImageStrip<S extends PageState>(element: HTMLElement, view: View<S>): void {
  const { store, signal } = view;
  element.classList.add("vw-images");
  attribute(element, { role: "group", "aria-label": "images" });
  let buttons: HTMLButtonElement[] = [];

  listen(
    element,
    "click",
    (event) => {
      const at = buttons.findIndex((button) => button.contains(event.target as Node));
      if (at >= 0) store.set("image_index", at);
    },
    signal,
  );

  function build(): void {
    const packed = store.get("thumbnails");
    const names = store.get("image_names");
    if (!isPacked(packed)) {
      buttons = [];
    } else {
      const { codes, shape } = unpack(packed);
      const [count, height, width] = shape;
      buttons = Array.from({ length: count }, (_, i) => {
        const name = names[i] || `image ${i}`;
        const canvas = rgbCanvas(codes, width, height, i * height * width * 3);
        canvas.className = "vw-image-canvas";
        return el(
          "button",
          "vw-image",
          { type: "button", title: name, "aria-label": name },
          canvas,
        );
      });
    }
    element.replaceChildren(...buttons);
    element.hidden = buttons.length < 2;
    draw();
  }

  function draw(): void {
    const now = store.get("image_index");
    buttons.forEach((button, i) => {
      attribute(button, { "aria-pressed": String(i === now) });
    });
    const current = buttons[now];
    if (!current || element.scrollWidth <= element.clientWidth) return;
    // only the strip scrolls, never the notebook
    const left = current.offsetLeft - element.offsetLeft;
    if (
      left < element.scrollLeft ||
      left + current.offsetWidth > element.scrollLeft + element.clientWidth
    )
      element.scrollLeft = left - element.clientWidth / 2;
  }
  view.paintOn(["image_index"], draw);
  view.paintOn(["thumbnails", "image_names"], build);
}
