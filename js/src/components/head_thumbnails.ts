// Thumbnails of the heads of one layer: crisp patches, the query marked, one number each.
import { colormapFor, pixelTable } from "../lib/colormap";
import { nats, pixels, shortWeight } from "../lib/format";
import { type Box, boxOf, placeIn } from "../lib/geometry";
import { headHeat, largest } from "../lib/heat";
import { isArrow, moveHead } from "../lib/keyboard";
import { orderHeads } from "../lib/order";
import { hasRow, type Layer, statistic } from "../lib/packet";
import type { HeadGridState, Sort } from "../lib/state";
import { type Choose, choiceOf } from "./choice";
import { attribute, el, hasFocus, listen, setText } from "./dom";
import { paintCells } from "./pixels";
import { type AttentionView, queryOf } from "./view";

interface Thumbnail {
  head: number;
  item: HTMLElement;
  frame: HTMLElement;
  canvas: HTMLCanvasElement;
  mark: HTMLElement;
  name: HTMLElement;
  number: HTMLElement;
  maximum: HTMLElement;
}

export function headThumbnails(
  element: HTMLElement,
  view: AttentionView<HeadGridState>,
  shared: () => number | undefined,
  choose: Choose,
): () => void {
  const { store, signal, attention } = view;
  attribute(element, { role: "listbox", "aria-multiselectable": "true", "aria-label": "heads" });
  let thumbnails: Thumbnail[] = [];
  let order: number[] = [];
  /** Where the focus is when it is not on the chosen head (after ctrl+arrow). */
  let roaming: number | null = null;

  const headOf = (event: Event): number | null => {
    const item = event.target instanceof Element ? event.target.closest("[data-head]") : null;
    return item ? Number(item.getAttribute("data-head")) : null;
  };
  listen(
    element,
    "click",
    (event) => {
      const head = headOf(event);
      const shown = attention.shown();
      roaming = null;
      if (head !== null && shown) choose(shown.layerIndex, head, order, choiceOf(event));
    },
    signal,
  );
  listen(
    element,
    "keydown",
    (event) => {
      const shown = attention.shown();
      if (!shown || event.altKey) return;
      const at = roaming ?? shown.head;
      const handled = press(event, at, shown.layerIndex, shown.head);
      if (handled) {
        event.preventDefault();
        event.stopPropagation();
      }
    },
    signal,
  );
  function press(event: KeyboardEvent, at: number, layer: number, head: number): boolean {
    if (event.key === " " && (event.shiftKey || at !== head)) {
      choose(layer, at, order, event.shiftKey ? "toggle" : "alone");
      return true;
    }
    if (event.key === "Enter" || event.key === "Home" || event.key === "End") {
      const next = { Enter: at, Home: order[0], End: order[order.length - 1] }[event.key];
      roaming = null;
      choose(layer, next, order, "alone");
      return true;
    }
    if (!isArrow(event.key) || event.key === "ArrowUp" || event.key === "ArrowDown") return false;
    const next = moveHead(at, event.key === "ArrowRight" ? 1 : -1, order);
    if (event.ctrlKey || event.metaKey) {
      roaming = next;
      focus(next);
      return true;
    }
    roaming = null;
    choose(layer, next, order, event.shiftKey ? "extend" : "alone");
    return true;
  }
  listen(
    element,
    "focusout",
    (event) => {
      if (!element.contains(event.relatedTarget as Node | null)) roaming = null;
    },
    signal,
  );

  function focus(head: number): void {
    for (const one of thumbnails) one.item.tabIndex = one.head === head ? 0 : -1;
    thumbnails.find((one) => one.head === head)?.item.focus({ preventScroll: true });
  }

  function make(): Thumbnail {
    const canvas = el("canvas", "vw-cells", { "aria-hidden": "true" });
    const mark = el("span", "vw-query-mark");
    const frame = el("span", "vw-thumbnail-frame", {}, canvas, mark);
    const name = el("b", "vw-head-name");
    const number = el("span", "vw-head-number");
    const maximum = el("span", "vw-head-maximum");
    const label = el("span", "vw-thumbnail-label", {}, name, number, maximum);
    const item = el("div", "vw-thumbnail", { role: "option" }, frame, label);
    return { head: -1, item, frame, canvas, mark, name, number, maximum };
  }

  return () => {
    const shown = attention.shown();
    const layer = shown?.layer ?? null;
    const count = layer?.heads ?? 0;
    const focusedInside = hasFocus(element);
    if (thumbnails.length !== count) {
      thumbnails = Array.from({ length: count }, make);
      element.replaceChildren(...thumbnails.map((one) => one.item));
    }
    if (!shown || !layer) {
      element.replaceChildren(
        ...(shown ? [el("p", "vw-note", {}, "This layer is not here yet.")] : []),
      );
      thumbnails = [];
      return;
    }
    const { row } = shown.picture;
    const query = queryOf(shown.picture) ?? -1;
    const table = pixelTable(colormapFor(layer, store.get("colormap")));
    const most = shared();
    const sort = store.get("sort");
    order = orderHeads(layer, row, sort);
    const mark = queryMark(layer, query);
    element.style.setProperty("--vw-aspect", String(aspectOf(layer)));
    element.style.setProperty("--vw-most-columns", String(columnsFor(layer.heads)));
    attribute(element, { "data-kind": layer.kind, "data-order": order.join(" ") });
    order.forEach((head, i) => {
      const one = thumbnails[i];
      one.head = head;
      paintCells(one.canvas, headHeat(layer, row, head, most), table);
      const number = headNumber(layer, row, head, sort);
      const maximum = `max ${largestOf(layer, row, head)}`;
      setText(one.name, String(head));
      setText(one.number, number);
      setText(one.maximum, maximum);
      const chosen = shown.heads.includes(head);
      attribute(one.item, {
        "data-head": head,
        "data-current": head === shown.head,
        "aria-selected": String(chosen),
        "aria-label": `head ${head}, ${number}, ${maximum}`,
        tabindex: head === (roaming ?? shown.head) ? 0 : -1,
      });
      one.mark.hidden = mark === null;
      if (mark) {
        one.mark.style.left = `${100 * mark.x}%`;
        one.mark.style.top = `${100 * mark.y}%`;
        one.mark.style.width = `${100 * mark.width}%`;
        one.mark.style.height = `${100 * mark.height}%`;
      }
    });
    if (focusedInside) focus(roaming ?? shown.head);
  };
}

/** The query patch in fractions of the map; null where no patch asks. */
export function queryMark(layer: Layer, query: number): Box | null {
  if (layer.kind === "matrix" || layer.only) return null;
  const place = placeIn(query, layer);
  return place && boxOf(place, layer.asked, layer.extent);
}

/** The largest value; of signed maps the largest magnitude. */
export function largestOf(layer: Layer, row: number, head: number): string {
  const most = shortWeight(hasRow(layer, row) ? largest(layer, row, head) : Number.NaN);
  return layer.signed ? `|${most}|` : most;
}

/** The number that goes with a head: what it is sorted by, else its entropy. */
export function headNumber(layer: Layer, row: number, head: number, sort: Sort): string {
  const distance = statistic(layer, "distance", row, [head]);
  if (sort === "distance" && !Number.isNaN(distance)) return pixels(distance);
  return nats(statistic(layer, "entropy", row, [head]), 1);
}

function aspectOf(layer: Layer): number {
  return Math.max(0.5, Math.min(2, layer.cols / layer.rows));
}

/** So many columns that the rows come out even. */
function columnsFor(heads: number): number {
  if (heads <= 4) return Math.max(3, heads);
  if (heads <= 8) return Math.ceil(heads / 2);
  return heads <= 12 ? 6 : 8;
}
