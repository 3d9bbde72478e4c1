// Objects by brush: while it is in hand, the pointer paints patches of the picture.
import { type Place, placeAt, placeOf, placesBetween } from "../lib/geometry";
import { segmentColour } from "../lib/patch_features";
import type { TokenMaskState } from "../lib/state";
import { type Local, local } from "../lib/store";
import { tokensOf } from "../lib/token_layer";
import { MOST_OBJECTS, objectsOf, packedObjects, painted, present } from "../lib/token_mask";
import { attribute, el, listen, setText } from "./dom";
import type { View } from "./view";

const ERASE = 0;

export interface MaskBrush {
  /** The object that is painted, 0 to erase; null while the brush is not in hand. */
  inHand: Local<number | null>;
  /** Puts the brush down; false if it was not in hand. */
  putDown(): boolean;
}

/** Adds the controls to `element`; what is painted on `stage` becomes the trait `token_mask`. */
export function drawMaskBrush<S extends TokenMaskState>(
  element: HTMLElement,
  full: View<S>,
  stage: HTMLElement,
): MaskBrush {
  const view = full as unknown as View<TokenMaskState>;
  const { store, signal } = view;
  const inHand = local<number | null>(null);
  const take = el("button", "vw-button", { type: "button" }, "Draw objects");
  const choices = el("span", "vw-chip-group");
  const clear = el("button", "vw-chip", { type: "button" }, "clear");
  element.classList.add("vw-mask-brush");
  attribute(element, { role: "group", "aria-label": "objects" });
  element.append(take, choices, clear);

  const reference = () => tokensOf(store)?.reference ?? null;
  function objects(): Uint8Array {
    const axis = reference();
    return axis ? objectsOf(store, axis) : new Uint8Array();
  }
  function keep(now: Uint8Array): void {
    const axis = reference();
    if (!axis) return;
    const values = now.some(Boolean) ? packedObjects(now, axis) : {};
    store.set("token_mask", { image_index: store.get("image_index"), values });
  }

  listen(take, "click", () => inHand.set(inHand.get() === null ? 1 : null), signal);
  listen(clear, "click", () => keep(objects().fill(0)), signal);
  listen(
    choices,
    "click",
    (event) => {
      const chip = event.target instanceof Element ? event.target.closest("[data-object]") : null;
      if (chip) inHand.set(Number(chip.getAttribute("data-object")));
    },
    signal,
  );

  /** What this stroke has painted so far, whatever Python echoes meanwhile. */
  let stroke: Uint8Array | null = null;
  /** Where its pointer was last; null outside the picture. */
  let last: Place | null = null;
  function paintUnder(event: PointerEvent): void {
    const [axis, object] = [reference(), inHand.get()];
    const box = stage.getBoundingClientRect();
    if (!axis || object === null || !stroke || box.width === 0) return;
    const place = placeAt(
      (event.clientX - box.left) / box.width,
      (event.clientY - box.top) / box.height,
      axis,
    );
    // a quick pointer reports few places
    const places = place ? placesBetween(last ?? place, place) : [];
    last = place;
    const now = painted(stroke, places, axis, object);
    if (now.every((one, patch) => one === stroke?.[patch])) return;
    stroke = now;
    keep(stroke);
  }
  const early = { capture: true, signal }; // before the picture's own listeners
  stage.addEventListener(
    "pointerdown",
    (event) => {
      if (inHand.get() === null || event.button !== 0) return;
      stage.setPointerCapture(event.pointerId);
      stroke = objects();
      paintUnder(event);
    },
    early,
  );
  stage.addEventListener("pointermove", paintUnder, early);
  const lift = () => {
    stroke = null;
    last = null;
  };
  stage.addEventListener("pointerup", lift, early);
  stage.addEventListener("pointercancel", lift, early);
  stage.addEventListener(
    "click",
    (event) => {
      if (inHand.get() !== null) event.stopPropagation(); // a dab is no question
    },
    early,
  );
  stage.addEventListener(
    "keydown",
    (event) => {
      const [axis, object] = [reference(), inHand.get()];
      const place = axis && placeOf(store.get("query"), axis);
      if (event.key !== "Enter" || object === null || !place) return;
      event.preventDefault();
      event.stopPropagation();
      keep(painted(objects(), [place], axis, object));
    },
    early,
  );

  function draw(): void {
    const [now, object] = [objects(), inHand.get()];
    const there = present(now);
    attribute(take, { "aria-pressed": String(object !== null) });
    setText(take, object === null ? "Draw objects" : "Done drawing");
    clear.hidden = there.length === 0;
    choices.hidden = object === null;
    attribute(stage, { "data-brush": object });
    const most = Math.min(MOST_OBJECTS, Math.max(0, ...there) + 1);
    const numbers = [...Array.from({ length: most }, (_, i) => i + 1), ERASE];
    // made anew only when there are more or fewer, so that the focus stays on the one pressed
    if (choices.children.length !== numbers.length) choices.replaceChildren(...numbers.map(chip));
    [...choices.children].forEach((chip, i) => {
      const number = numbers[i];
      attribute(chip, {
        "data-object": number,
        "aria-pressed": String(number === object),
        "aria-label":
          number === ERASE
            ? "erase"
            : `object ${number}, ${now.filter((one) => one === number).length} patches`,
      });
    });
  }
  function chip(number: number): HTMLElement {
    if (number === ERASE) return el("button", "vw-chip", { type: "button" }, "erase");
    const swatch = el("span", "vw-swatch");
    swatch.style.background = `rgb(${segmentColour(number - 1).join()})`;
    return el("button", "vw-chip vw-chip-object", { type: "button" }, swatch, String(number));
  }
  view.paintOn(["token_mask", "image_index", "layer", "token_layer"], draw);
  inHand.on(() => view.paint(draw));

  return {
    inHand,
    putDown() {
      const was = inHand.get() !== null;
      inHand.set(null);
      return was;
    },
  };
}
