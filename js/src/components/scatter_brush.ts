// A drag over the picture selects the points of its patches; a click stays a question.
import { type Place, placeAt, placesBetween } from "../lib/geometry";
import { type Cloud, patchPoints, selection } from "../lib/scatter";
import type { TokenScatterState } from "../lib/state";
import { tokensOf } from "../lib/token_layer";
import type { View } from "./view";

const STIR = 6; // pixels that a click may move

export function bindPatchBrush<S extends TokenScatterState>(
  full: View<S>,
  stage: HTMLElement,
  cloud: () => Cloud | null,
  /** Whether the pointer does something else on the picture. */
  busy: () => boolean,
): void {
  const { store, signal } = full as unknown as View<TokenScatterState>;
  let began: PointerEvent | null = null;
  let before: readonly number[] = [];
  let touched: Set<number> | null = null;
  let last: Place | null = null;
  const early = { capture: true, signal }; // before the picture's own listeners

  function touch(event: PointerEvent): void {
    const [now, axis] = [cloud(), tokensOf(store)?.asked];
    const box = stage.getBoundingClientRect();
    if (!now || !axis || !touched || box.width === 0) return;
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const place = placeAt(x / box.width, y / box.height, axis);
    // a quick pointer reports few places
    const places = place ? placesBetween(last ?? place, place) : [];
    last = place;
    const points = patchPoints(now, store.get("image_index"));
    const count = touched.size;
    for (const { row, col } of places) {
      const point = points[row * axis.cols + col];
      if (point !== undefined && point >= 0) touched.add(point);
    }
    if (touched.size > count) store.set("scatter_selected", selection(before, [...touched], true));
  }
  stage.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0 || busy()) return;
      began = event;
      touched = null;
      before = event.shiftKey ? store.get("scatter_selected") : [];
    },
    early,
  );
  stage.addEventListener(
    "pointermove",
    (event) => {
      if (!began) return;
      const far = Math.hypot(event.clientX - began.clientX, event.clientY - began.clientY);
      if (!touched && far < STIR) return;
      if (!touched) {
        touched = new Set();
        stage.setPointerCapture(event.pointerId);
        touch(began);
      }
      touch(event);
    },
    early,
  );
  const lift = () => {
    began = null;
    last = null;
  };
  stage.addEventListener("pointerup", lift, early);
  stage.addEventListener("pointercancel", lift, early);
  stage.addEventListener(
    "click",
    (event) => {
      if (touched) event.stopPropagation();
      touched = null;
    },
    early,
  );
}
