// Views: what a token sees of the image through a filter of the patch embedding, level by level.
import { grouped, weight } from "../lib/format";
import { placeOf, sameAxis } from "../lib/geometry";
import type { Heat } from "../lib/heat";
import { MOST_PINS, type TokenViewsState } from "../lib/state";
import { current, tokensOf } from "../lib/token_layer";
import { objectPixels, objectsOf, objectsOfLayer } from "../lib/token_mask";
import { exactWeight, numbersOf } from "../lib/views";
import { viewsOf } from "../lib/views_data";
import { isPacked } from "../lib/wire";
import { attribute, el, listen, setNote, setText } from "./dom";
import { saveCanvas } from "./download";
import type { OpenTab } from "./inspector";
import { drawMaskBrush } from "./mask_brush";
import { drawImageControls } from "./overlay_controls";
import type { OverlayScene } from "./overlay_painter";
import { drawPatchStage } from "./patch_stage";
import { rgbaPixels } from "./pixels";
import { segmented } from "./segmented";
import { drawTokenChoices, drawTokenFrame } from "./token_tab";
import type { View } from "./view";
import { drawFilterBrowser } from "./views_filters";
import { drawViewsLevels } from "./views_levels";
import { drawViewsPanel } from "./views_panel";

const KEYS = [
  ["views_filter", "views_display", "views_scale", "views_residual", "views_heads"],
  ["views_filters", "views_image", "views_rows", "views_entry"],
  ["layer", "query", "image_index", "head", "pins", "token_mask", "views_sort"],
] as const;

export function drawViewsTab(
  element: HTMLElement,
  given: View<TokenViewsState>,
  leave: () => boolean,
): OpenTab {
  const view = { ...given, store: everyLayer(given.store) };
  const { store, signal } = view;
  const views = viewsOf(store, signal);
  const [look, objects, chips, images, display] = Array.from({ length: 5 }, () => el("div"));
  const [layers, panel, levels, browser] = [el("div"), el("div"), el("div"), el("div")];
  const note = el("p", "vw-note", { role: "status" });
  const numbers = el("div", "vw-view-numbers");
  const choice = filterChoice(
    view,
    () => views.count(),
    (by) => filters.step(by),
    () => filters.pin(),
  );
  const drawnAs = el(
    "div",
    "vw-tools",
    {},
    segmented(view, "views_display", "display", [
      { value: "signed", text: "Signed", title: "channels summed up, zero in the middle" },
      { value: "clipped", text: "RGB", title: "channels as colours, what is negative black" },
    ]),
    segmented(view, "views_scale", "scale", [
      { value: "per view", text: "Scale per view" },
      { value: "shared", text: "Shared", title: "that of level 0 for every level" },
    ]),
    el("span", "vw-note", {}, "square roots of values"),
  );
  const followed = el(
    "div",
    "vw-tools",
    {},
    segmented(view, "views_heads", "heads", [
      { value: "mean", text: "Mean of heads" },
      { value: "one", text: "One" },
      { value: "own", text: "Own", title: "the head that the filter's feature belongs to" },
    ]),
    headBox(view, () => headCount()),
    residualBox(view),
  );
  element.append(
    el(
      "div",
      "vw-columns vw-views-columns",
      {},
      el("div", "vw-column vw-column-look", {}, look, objects, chips, images, numbers, display),
      el(
        "div",
        "vw-column vw-column-compare",
        {},
        layers,
        choice,
        panel,
        drawnAs,
        followed,
        note,
        levels,
      ),
      el("div", "vw-column vw-column-numbers", {}, browser),
    ),
  );

  function headCount(): number {
    const rows = store.get("views_rows");
    return "head_count" in rows ? rows.head_count : 1;
  }
  const level = () => store.get("layer") + 1;
  /** Where the view comes from, over the picture. */
  function heat(): Heat | null {
    const tokens = tokensOf(store);
    const weights = views.weights(store.get("query"), level(), store.get("views_filter"));
    if (!tokens || !weights) return null;
    const { rows, cols } = tokens.asked;
    if (weights.codes.length !== rows * cols) return null;
    return { rows, cols, levels: weights.codes, maximum: weights.maximum, signed: false };
  }
  function over(): Partial<OverlayScene> {
    const tokens = tokensOf(store);
    const drawn = tokens && objectsOfLayer(objectsOf(store, tokens.reference), tokens);
    if (drawn && brush.inHand.get() !== null)
      return { cells: rgbaPixels(objectPixels(drawn), tokens.asked.cols) };
    const sorted = store.get("views_sort") === "separation";
    return { heat: heat(), outlined: drawn && sorted ? [drawn] : [] };
  }
  const stage = drawPatchStage(look, view, {
    label: () => `weights of the patches at level ${level()}`,
    over,
  });
  const brush = drawMaskBrush(objects, view, stage.element);
  drawTokenChoices(view, { chips, images, layers });
  drawImageControls(display, view);
  const large = drawViewsPanel(panel, view, views);
  const drawLevels = drawViewsLevels(levels, view, views);
  const filters = drawFilterBrowser(browser, view, views);

  /** The weight of the patch under the pointer, or of the one that is asked about. */
  function say(): string {
    const tokens = tokensOf(store);
    const place = stage.pointed.get() ?? (tokens && placeOf(store.get("query"), tokens.reference));
    const filter = store.get("views_filter");
    const found = numbersOf(views.entry(), store.get("views_filters"), filter);
    const words = [];
    if (found?.embedding != null && found.position !== null)
      words.push(
        `${fixed(found.sum)}${added(found.bias)}${added(found.position)} = ${fixed(found.embedding)}`,
      );
    if (tokens && place) {
      const patch = place.row * tokens.asked.cols + place.col;
      const share = exactWeight(views.entry(), level(), patch, filter, views.count());
      const where = `patch (${place.row}, ${place.col})`;
      if (share !== null) words.push(`${where}: weight ${weight(share)} at level ${level()}`);
    }
    return words.join(" · ");
  }
  const drawSaid = drawTokenFrame(
    element,
    view,
    {
      say,
      keys: [
        [", .", "filter"],
        ["f", "pin the filter; again to unpin"],
        ["arrows on the filters", "filter"],
      ],
      press(key) {
        if (key === "," || key === ".") filters.step(key === "," ? -1 : 1);
        else if (key === "f") filters.pin();
        else return false;
        return true;
      },
    },
    () => brush.putDown() || leave(),
  );

  function drawNumbers(): void {
    const filter = store.get("views_filter");
    const found = numbersOf(views.entry(), store.get("views_filters"), filter);
    const line = (name: string, value: number | null) =>
      el(
        "div",
        "vw-control",
        {},
        el("span", "vw-muted", {}, name),
        el("span", "vw-number", {}, value === null ? "–" : fixed(value)),
      );
    numbers.replaceChildren(
      ...(found
        ? [
            el("span", "vw-title", {}, `Feature ${filter} of the embedding`),
            line("sum of the local view", found.sum),
            line("+ bias of the filter", found.bias),
            line(found.fixed ? "+ position" : "+ added, depends on the image", found.position),
            line("= entry that the first block is given", found.embedding),
          ]
        : []),
    );
  }
  function notes(): string {
    const said = [
      store.get("views_filters"),
      store.get("views_image"),
      store.get("views_rows"),
      store.get("views_entry"),
    ].map((one) => ("note" in one ? one.note : ""));
    return [...new Set([current(store)?.note ?? "", ...said])].filter(Boolean).join(" · ");
  }
  function draw(): void {
    large.draw();
    drawLevels();
    drawNumbers();
    setNote(note, notes());
    // without filters there is nothing to choose, without rows no way to follow attention
    for (const part of [choice, panel, drawnAs, browser]) part.hidden = refused();
    followed.hidden = refused() || views.refused();
    attribute(element, { "data-answer": ready() ? "current" : "stale" });
    stage.repaint();
    drawSaid();
  }
  /** Whether the model has no filters, for a reason that is said. */
  function refused(): boolean {
    const filters = store.get("views_filters");
    return "note" in filters && filters.note !== "";
  }
  /** Whether all that is asked for is drawn, or refused with a reason. */
  function ready(): boolean {
    if (refused()) return true;
    if (views.field(store.get("views_filter")) === null) return false;
    const weights = views.weights(store.get("query"), level(), store.get("views_filter"));
    return weights !== null || views.refused() || views.ended(level());
  }
  view.paintOn(KEYS.flat(), draw);
  // what is known of another layer is nothing new here, as long as its tokens are the same
  let tokens = tokensOf(store);
  store.on(
    "token_layer",
    () => {
      const now = tokensOf(store);
      if (!tokens || !now || !sameAxis(tokens.reference, now.reference)) view.paint(draw);
      tokens = now;
    },
    signal,
  );
  stage.pointed.on(drawSaid);
  brush.inHand.on(() => view.paint(draw));

  return {
    drawn() {
      if (!ready()) return "";
      const { get } = store;
      return [get("image_index"), get("layer"), get("query"), get("views_filter")].join(":");
    },
    problem: () => "",
    async savePng() {
      const source = large.canvas;
      const factor = Math.max(1, Math.round(1200 / Math.max(source.width, source.height)));
      const canvas = el("canvas");
      canvas.width = source.width * factor;
      canvas.height = source.height * factor;
      const context = canvas.getContext("2d") as CanvasRenderingContext2D;
      context.imageSmoothingEnabled = false;
      context.drawImage(source, 0, 0, canvas.width, canvas.height);
      const name = `filter-${store.get("views_filter")}-token-${store.get("query")}`;
      await saveCanvas(canvas, `${name}-level-${level()}.png`);
    },
  };
}

/** Where views are, tokens are the same in every layer: those of another need not be waited for. */
function everyLayer(store: View<TokenViewsState>["store"]): View<TokenViewsState>["store"] {
  return {
    ...store,
    get(key) {
      const value = store.get(key);
      if (key !== "token_layer" || !("axis" in (value as object))) return value;
      const rows = store.get("views_rows");
      if (!("rows" in rows) || !isPacked(rows.rows)) return value; // other tokens in each layer
      return { ...(value as object), layer: store.get("layer") } as typeof value;
    },
  };
}

/** Four digits after the point: all that float32 has of numbers near 1, and a true minus. */
function fixed(value: number): string {
  return value.toFixed(4).replace("-", "−");
}

function added(value: number): string {
  return value < 0 ? ` − ${fixed(-value)}` : ` + ${fixed(value)}`;
}

/** Which filter: a slider to scrub, a number, the next one, and a pin. */
function filterChoice(
  view: View<TokenViewsState>,
  count: () => number,
  step: (by: number) => void,
  pin: () => void,
): HTMLElement {
  const { store, signal } = view;
  const box = el("input", "vw-number-box", { type: "number", min: 0, "aria-label": "filter" });
  const range = el("input", "vw-range vw-small-range", {
    type: "range",
    min: 0,
    "aria-label": "filter",
  });
  const of = el("span", "vw-muted");
  const action = (text: string, title: string, run: () => void) => {
    const button = el("button", "vw-action", { type: "button", title }, text);
    listen(button, "click", run, signal);
    return button;
  };
  const [previous, next, hold] = [
    action("‹ prev", "the filter before, in the order that is shown (,)", () => step(-1)),
    action("next ›", "the next filter, in the order that is shown (.)", () => step(1)),
    action("pin", "hold it, to compare it on other images (f)", pin),
  ];
  function choose(typed: string): void {
    const filter = Math.round(Number(typed));
    const last = count() - 1;
    if (typed.trim() !== "" && Number.isFinite(filter) && last >= 0)
      store.set("views_filter", Math.max(0, Math.min(last, filter)));
    draw(); // what cannot be chosen does not stay in the box
  }
  listen(box, "change", () => choose(box.value), signal);
  listen(range, "input", () => choose(range.value), signal);
  function draw(): void {
    const [filter, last] = [store.get("views_filter"), Math.max(0, count() - 1)];
    for (const input of [box, range]) {
      input.max = String(last);
      input.disabled = last === 0;
      if (input.value !== String(filter)) input.value = String(filter);
    }
    range.style.setProperty("--vw-at", String(last ? filter / last : 0));
    setText(of, last ? `of ${grouped(last + 1)}` : "");
    const pins = store.get("views_pins");
    const held = pins.includes(filter);
    setText(hold, held ? "unpin" : "pin");
    hold.disabled = last === 0 || (!held && pins.length >= MOST_PINS);
    attribute(hold, { "aria-pressed": String(held) });
    for (const button of [previous, next]) button.disabled = last === 0;
  }
  view.paintOn(["views_filter", "views_filters", "views_pins"], draw);
  return el(
    "div",
    "vw-filter-choice",
    {},
    el("label", "vw-title", {}, "Filter ", box),
    of,
    range,
    previous,
    next,
    hold,
  );
}

function headBox(view: View<TokenViewsState>, count: () => number): HTMLElement {
  const { store, signal } = view;
  const box = el("input", "vw-number-box", { type: "number", min: 0, "aria-label": "head" });
  listen(
    box,
    "change",
    () => {
      const head = Math.round(Number(box.value));
      if (box.value.trim() !== "" && Number.isFinite(head))
        store.set("head", Math.max(0, Math.min(count() - 1, head)));
      draw();
    },
    signal,
  );
  const label = el("label", "vw-muted", {}, "head ", box);
  function draw(): void {
    label.hidden = store.get("views_heads") !== "one";
    box.max = String(count() - 1);
    if (box.value !== String(store.get("head"))) box.value = String(store.get("head"));
  }
  view.paintOn(["head", "views_heads", "views_rows"], draw);
  return label;
}

function residualBox(view: View<TokenViewsState>): HTMLElement {
  const { store, signal } = view;
  const box = el("input", "", { type: "checkbox" });
  listen(box, "change", () => store.set("views_residual", box.checked), signal);
  view.paintOn(["views_residual"], () => {
    box.checked = store.get("views_residual");
  });
  return el(
    "label",
    "vw-check",
    { title: "a layer hands each token on beside what it attends to, in equal parts" },
    box,
    " residual",
  );
}
