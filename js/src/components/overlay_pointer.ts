// What the pointer and the arrow keys do on the picture.
import { type Place, placeAt, tokenAt } from "../lib/geometry";
import { isArrow, moveQuery } from "../lib/keyboard";
import type { ImageLayer } from "../lib/packet";
import { togglePin } from "../lib/selection";
import type { PatchOverlayState } from "../lib/state";
import { listen } from "./dom";
import { type AttentionView, queryOf } from "./view";

/**
 * Without pins, hovering moves the query and leaving gives back the one held before. With pins the
 * query stays and hovering reads values. A click pins or unpins.
 */
export function bindPointer(stage: HTMLElement, view: AttentionView<PatchOverlayState>): void {
  const { store, signal, attention, pointed } = view;
  /** The query to go back to, while hovering; null when the pointer is elsewhere. */
  let held: number | null = null;
  let hovered = -1;

  const layer = (): ImageLayer | null => {
    const found = attention.shown()?.layer;
    return found?.kind === "image" ? found : null;
  };

  /** Maps that belong to no query: there is none to move or to pin. */
  const plain = () => queryOf(attention.shown()?.picture) === null;

  function follow(over: Place, grid: ImageLayer): void {
    pointed.set(over.row * grid.cols + over.col);
    if (store.get("pins").length > 0 || plain()) return;
    held ??= store.get("query");
    hovered = tokenAt(over, grid);
    store.set("query", hovered);
  }

  /** Whoever else moves the query decides where leaving the picture goes back to. */
  store.on(
    "query",
    () => {
      if (held !== null && store.get("query") !== hovered) held = store.get("query");
    },
    signal,
  );

  function placeUnder(event: PointerEvent | MouseEvent): Place | null {
    const grid = layer();
    const box = stage.getBoundingClientRect();
    if (!grid || box.width === 0) return null;
    return placeAt(event.clientX - box.left, event.clientY - box.top, grid, box.width, box.height);
  }

  listen(
    stage,
    "pointermove",
    (event) => {
      if (event.pointerType === "touch") return; // a finger cannot hover: it taps
      const [over, grid] = [placeUnder(event), layer()];
      // browsers send one of these a frame, and traits that wait for the kernel are merged
      if (over && grid) follow(over, grid);
    },
    signal,
  );
  listen(
    stage,
    "pointerleave",
    () => {
      pointed.set(null);
      const back = held;
      held = null;
      if (back !== null && store.get("pins").length === 0) store.set("query", back);
    },
    signal,
  );

  listen(
    stage,
    "click",
    (event) => {
      const grid = layer();
      const place = placeUnder(event);
      if (!grid || !place) return;
      const token = tokenAt(place, grid);
      if (plain()) {
        store.set("query", token); // for whoever observes it in Python
        return;
      }
      const finger = (event as PointerEvent).pointerType === "touch";
      if (finger && token !== store.get("query")) {
        store.set("query", token); // the first tap looks, the second pins
        return;
      }
      if (held !== null) held = token;
      hovered = token;
      const pins = togglePin(store.get("pins"), token);
      store.update(pins.includes(token) ? { query: token, pins } : { pins });
    },
    signal,
  );

  listen(
    stage,
    "keydown",
    (event) => {
      const grid = layer();
      if (!grid || !isArrow(event.key)) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      store.set("query", moveQuery(store.get("query"), event.key, grid));
    },
    signal,
  );
}
