// All filters as small pictures, of which only those on screen are made; and those that are pinned,
// on the images that were looked at.
import { grouped, plain } from "../lib/format";
import { inView } from "../lib/neuron_atlas";
import { togglePin } from "../lib/selection";
import { MOST_PINS, type TokenViewsState } from "../lib/state";
import { tokensOf } from "../lib/token_layer";
import { objectsOf } from "../lib/token_mask";
import { ordered, separationOf } from "../lib/views";
import type { Views } from "../lib/views_data";
import { kernel, product, scaleOf } from "../lib/views_field";
import { attribute, el, listen, onResize, setText } from "./dom";
import { menu } from "./menu";
import { segmented } from "./segmented";
import type { View } from "./view";
import { type FieldCanvas, fieldCanvas } from "./views_canvas";

const CELL = 60; // pixels, with its gap
const LINE = 16; // of the number below

const WHAT = {
  index: "",
  contrast: "Contrast: how far the sums over the patches lie apart.",
  strength: "Strength: how large the sums over the patches are.",
  separation: "Separation: how far the sums over the object lie from those over the rest.",
};
const NO_OBJECT =
  "Separation: no object is drawn on this image yet. Take the brush, or set token_mask.";

interface Item {
  element: HTMLElement;
  number: HTMLElement;
  canvas: FieldCanvas;
  /** What is drawn, so that it is drawn once. */
  of: string;
}

export interface FilterBrowser {
  /** The filter so many places on, in the order that is shown. */
  step(by: number): void;
  pin(): void;
}

export function drawFilterBrowser(
  element: HTMLElement,
  view: View<TokenViewsState>,
  views: Views,
): FilterBrowser {
  const { store, signal } = view;
  const sort = menu(view, "views_sort", "sort filters by", [
    { value: "index", text: "by number" },
    { value: "contrast", text: "by contrast" },
    { value: "strength", text: "by strength" },
    { value: "separation", text: "by separation" },
  ]);
  const thumbnails = segmented(view, "views_thumbnails", "what is shown of each filter", [
    { value: "views", text: "Views", title: "level 0 of the image in view" },
    { value: "filters", text: "Filters", title: "the filters themselves" },
  ]);
  const title = el("span", "vw-title");
  const sheet = el("div", "vw-atlas-sheet", { role: "presentation" });
  const scroller = el(
    "div",
    "vw-filters",
    { tabindex: 0, role: "listbox", "aria-label": "filters of the patch embedding" },
    sheet,
  );
  const what = el("p", "vw-note");
  const pinned = el("div", "vw-filter-pins");
  const id = `vw-filter-${Math.random().toString(36).slice(2)}`;
  element.append(
    el("div", "vw-bar vw-bar-wrap", {}, title, sort),
    thumbnails,
    scroller,
    what,
    pinned,
  );
  let order: number[] = [];
  let sorted: { count: number; by: number[] | undefined } = { count: 0, by: undefined };
  let revealed = -1;
  const items: Item[] = [];
  const columns = () => Math.max(1, Math.floor(size.width / CELL));
  const row = CELL + LINE;

  /** What filters are sorted by, and what that is; no scores: by number, until they come. */
  function sorting(): { scores?: number[]; waiting: boolean; what: string } {
    const by = store.get("views_sort");
    const shown = store.get("image_index");
    const what = WHAT[by];
    if (by === "index") return { waiting: false, what };
    if (by === "separation") {
      const axis = tokensOf(store)?.reference;
      if (!axis) return { waiting: true, what };
      const objects = objectsOf(store, axis);
      if (!objects.some(Boolean)) return { waiting: false, what: NO_OBJECT };
      const found = separationOf(store.get("views_separation"), shown, objects);
      if (found?.note) return { waiting: false, what: found.note };
      return { scores: found?.scores, waiting: !found, what };
    }
    const image = store.get("views_image");
    const mine = "scores" in image && image.image_index === shown;
    const scores = mine ? image.scores[by] : undefined;
    return { scores, waiting: scores === undefined, what };
  }
  function make(): Item {
    const canvas = fieldCanvas("vw-filter-canvas");
    const number = el("span", "vw-atlas-number");
    const item = el("div", "vw-filter", { role: "option" }, canvas.element, number);
    return { element: item, number, canvas, of: "" };
  }
  /** Scrolls the box, never the notebook. */
  function reveal(place: number): void {
    const top = Math.floor(place / columns()) * row;
    const { scrollTop, clientHeight } = scroller;
    if (top >= scrollTop && top + row <= scrollTop + clientHeight) return;
    scroller.scrollTop = Math.max(0, top - row);
  }
  function paint(canvas: FieldCanvas, filter: number, image: number): boolean {
    const [own, pixels] = [views.filter(filter), views.pixels(image)];
    const display = store.get("views_display");
    const alone = store.get("views_thumbnails") === "filters";
    if (!own || (!alone && !pixels)) return false;
    const field = alone || !pixels ? kernel(own, display) : product(own, pixels, display);
    canvas.paint(field, null, scaleOf(field, null));
    return true;
  }

  function draw(): void {
    const count = views.count();
    if (size.width === 0) return;
    setText(title, count ? `${grouped(count)} filters` : "Filters");
    const image = store.get("image_index");
    const { scores: by, waiting, what: words } = sorting();
    if (sorted.count !== count || (sorted.by !== by && !waiting)) {
      sorted = { count, by };
      order = ordered(count, by);
      revealed = -1;
    }
    const filter = store.get("views_filter");
    const across = columns();
    sheet.style.height = `${Math.ceil(count / across) * row}px`;
    if (revealed !== filter && count > 0) {
      revealed = filter;
      reveal(order.indexOf(filter));
    }
    const range = inView(
      { top: scroller.scrollTop, height: scroller.clientHeight },
      { columns: across, row },
      count,
    );
    const many = range.last - range.first;
    while (items.length < many) items.push(make());
    const used = items.slice(0, many);
    used.forEach((item, i) => {
      const place = range.first + i;
      const mine = order[place];
      const wanted = [mine, image, store.get("views_display"), store.get("views_thumbnails")];
      const of = `${wanted}${views.pixels(image) ? "" : " waiting"}`;
      if (item.of !== of) {
        item.canvas.element.hidden = !paint(item.canvas, mine, image);
        item.of = of;
      }
      const score = by ? `, ${store.get("views_sort")} ${plain(by[mine])}` : "";
      setText(item.number, String(mine));
      const [down, right] = [Math.floor(place / across), place % across];
      item.element.style.transform = `translate(${right * CELL}px, ${down * row}px)`;
      attribute(item.element, {
        id: `${id}-${mine}`,
        "data-filter": mine,
        "aria-selected": String(mine === filter),
        "aria-setsize": count,
        "aria-posinset": place + 1,
        "aria-label": `filter ${mine}${score}`,
        title: `filter ${mine}${score}`,
      });
    });
    const shown = used.map((item) => item.element);
    if (shown.length !== sheet.children.length || shown.some((one, i) => sheet.children[i] !== one))
      sheet.replaceChildren(...shown);
    attribute(scroller, { "aria-activedescendant": `${id}-${filter}` });
    setText(what, words);
    what.hidden = words === "";
  }

  // --- pinned filters, on the images that were looked at ---------------------------------------
  let drawn = "";
  function drawPins(): void {
    const pins = store.get("views_pins");
    const display = store.get("views_display");
    const images = views.images().sort((a, b) => a - b);
    const now = `${pins}|${images}|${display}|${views.count()}`;
    pinned.hidden = pins.length === 0;
    if (drawn === now) return;
    drawn = now;
    const names = store.get("image_names");
    pinned.style.setProperty("--vw-count", String(images.length));
    pinned.replaceChildren(
      el("p", "vw-note vw-filter-pins-note", {}, "Pinned, on the images that were looked at"),
      ...pins.flatMap((filter) => [
        el(
          "span",
          "vw-filter-pin-name",
          {},
          el("button", "vw-action", { type: "button", "data-show": filter }, String(filter)),
          el(
            "button",
            "vw-pin-close",
            { type: "button", "data-unpin": filter, "aria-label": `unpin filter ${filter}` },
            "×",
          ),
        ),
        ...images.map((image) => {
          const canvas = fieldCanvas("vw-view-canvas");
          const [own, pixels] = [views.filter(filter), views.pixels(image)];
          if (own && pixels) {
            const field = product(own, pixels, display);
            canvas.paint(field, null, scaleOf(field, null));
          }
          attribute(canvas.element, { title: names[image] || `image ${image}` });
          return canvas.element;
        }),
      ]),
    );
  }
  listen(
    pinned,
    "click",
    (event) => {
      const at = event.target instanceof Element ? event.target : pinned;
      const [show, unpin] = ["data-show", "data-unpin"].map((name) =>
        at.closest(`[${name}]`)?.getAttribute(name),
      );
      if (show) store.set("views_filter", Number(show));
      if (unpin) store.set("views_pins", togglePin(store.get("views_pins"), Number(unpin)));
    },
    signal,
  );

  function step(by: number): void {
    const count = order.length;
    if (count === 0) return;
    const place = Math.max(0, order.indexOf(store.get("views_filter")));
    store.set("views_filter", order[Math.max(0, Math.min(count - 1, place + by))]);
  }
  listen(scroller, "scroll", () => view.paint(draw), signal);
  listen(
    sheet,
    "click",
    (event) => {
      const cell = event.target instanceof Element ? event.target.closest("[data-filter]") : null;
      if (cell) store.set("views_filter", Number(cell.getAttribute("data-filter")));
    },
    signal,
  );
  listen(
    scroller,
    "keydown",
    (event) => {
      const page = Math.max(1, Math.floor(scroller.clientHeight / row)) * columns();
      const by = {
        ArrowLeft: -1,
        ArrowRight: 1,
        ArrowUp: -columns(),
        ArrowDown: columns(),
        PageUp: -page,
        PageDown: page,
        Home: -order.length,
        End: order.length,
      }[event.key];
      if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      step(by);
    },
    signal,
  );
  view.paintOn(
    [
      ...(["views_filter", "views_sort", "views_thumbnails", "views_display"] as const),
      ...(["views_filters", "views_image", "image_index"] as const),
      ...(["views_separation", "token_mask", "token_layer"] as const),
    ],
    draw,
  );
  view.paintOn(
    ["views_pins", "views_display", "views_filters", "views_image", "image_names"],
    drawPins,
  );
  const size = onResize(scroller, () => view.paint(draw), signal);
  return {
    step,
    pin() {
      const [pins, filter] = [store.get("views_pins"), store.get("views_filter")];
      if (!pins.includes(filter) && pins.length >= MOST_PINS) return;
      store.set("views_pins", togglePin(pins, filter));
    },
  };
}
