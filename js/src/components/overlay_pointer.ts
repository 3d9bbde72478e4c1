// What the pointer and the arrow keys do on the picture.
import { type Axis, type Place, placeAt, tokenUnder } from "../lib/geometry";
import { isArrow, moveQuery } from "../lib/keyboard";
import type { ImageLayer } from "../lib/packet";
import { togglePin } from "../lib/selection";
import type { PatchOverlayState } from "../lib/state";
import { listen } from "./dom";
import { type AttentionView, queryOf } from "./view";

/** What is under the pointer: a cell of the map, and the token that its place selects. */
interface Under {
  cell: Place | null;
  token: number | null;
}

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

  function follow(under: Under, { cols, only }: ImageLayer): void {
    pointed.set(under.cell && under.cell.row * cols + under.cell.col);
    if (store.get("pins").length > 0 || plain() || only || under.token === null) return;
    held ??= store.get("query");
    hovered = under.token;
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

  function under(event: MouseEvent, on: ImageLayer): Under {
    const box = stage.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const at = (axis: Axis) => placeAt(x / box.width, y / box.height, axis);
    const asked = at(on.asked);
    return { cell: at(on), token: asked && tokenUnder(asked, on) };
  }

  listen(
    stage,
    "pointermove",
    (event) => {
      if (event.pointerType === "touch") return; // a finger cannot hover: it taps
      const on = layer();
      // browsers send one of these a frame, and traits that wait for the kernel are merged
      if (on) follow(under(event, on), on);
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
      const on = layer();
      const token = on && !on.only ? under(event, on).token : null;
      if (token === null) return;
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
      const on = layer();
      if (!on || on.only || !isArrow(event.key)) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      store.set("query", moveQuery(store.get("query"), event.key, on));
    },
    signal,
  );
}
