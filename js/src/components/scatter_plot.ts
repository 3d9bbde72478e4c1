// The points: what is under the pointer, the lasso, and the way from one frame to the next.
import type { Rgb } from "../lib/colormap";
import { isArrow, moveQuery } from "../lib/keyboard";
import {
  type Cloud,
  enclosed,
  nearest,
  pointName,
  queryOf,
  sameTokens,
  selection,
} from "../lib/scatter";
import type { TokenScatterState } from "../lib/state";
import { type Local, local } from "../lib/store";
import { tokensOf } from "../lib/token_layer";
import { attribute, context2d, el, listen, onResize, sizeCanvas } from "./dom";
import { type PointScene, paintPoints, toBox } from "./scatter_painter";
import type { View } from "./view";

const MOVE_MS = 160; // from one layer to the next
const REACH = 12; // CSS pixels from the pointer to a point
const STIR = 4; // pixels that a click may move

export type Tool = "lasso" | "box";

export interface PlotOptions {
  cloud(): Cloud | null;
  rgb(): readonly Rgb[];
  /** The point of the query, -1 for none. */
  query(): number;
  /** The point of a patch that is pointed at elsewhere, -1 for none. */
  hovered(): number;
  /** Whether frames come one after the other by themselves: they are drawn as they come. */
  running(): boolean;
  tool(): Tool;
}

export interface ScatterPlot {
  /** The point under the pointer, -1 for none. */
  pointed: Local<number>;
  repaint(): void;
  /** What is drawn now, for a PNG. */
  scene(): PointScene | null;
}

interface Spot {
  x: number;
  y: number;
}

export function drawScatterPlot<S extends TokenScatterState>(
  element: HTMLElement,
  full: View<S>,
  options: PlotOptions,
): ScatterPlot {
  const view = full as unknown as View<TokenScatterState>;
  const { store, signal, root } = view;
  const pointed = local(-1);
  const canvas = el("canvas", "vw-scatter-canvas", { "aria-hidden": "true" });
  const plot = el("div", "vw-scatter", {
    tabindex: 0,
    role: "application",
    "aria-roledescription": "points",
    "data-focus": "picture",
  });
  // a lasso is drawn anew in every frame, the points under it are not
  const lasso = el("canvas", "vw-scatter-canvas", { "aria-hidden": "true" });
  plot.append(canvas, lasso);
  element.append(plot);
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  // -- where the points are --------------------------------------------------------------------
  let shown: Cloud | null = null;
  let now: Pick<Cloud, "x" | "y"> = { x: new Float32Array(), y: new Float32Array() };
  let from = now;
  let since = 0;
  let frame = 0;
  signal.addEventListener("abort", () => cancelAnimationFrame(frame));

  /** Takes the latest frame; from one of the same tokens the points move over. */
  function follow(): void {
    const cloud = options.cloud();
    if (!cloud || cloud === shown) return;
    const moves =
      shown !== null && sameTokens(shown, cloud) && !options.running() && !still.matches;
    shown = cloud;
    from = moves ? now : cloud;
    since = performance.now();
    advance();
  }
  function advance(): void {
    if (!shown) return;
    const part = from === shown ? 1 : Math.min(1, (performance.now() - since) / MOVE_MS);
    if (part >= 1) {
      now = shown;
      return;
    }
    const eased = part * (2 - part);
    const [x, y] = [new Float32Array(shown.count), new Float32Array(shown.count)];
    for (let i = 0; i < shown.count; i++) {
      x[i] = from.x[i] + eased * (shown.x[i] - from.x[i]);
      y[i] = from.y[i] + eased * (shown.y[i] - from.y[i]);
    }
    now = { x, y };
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      advance();
      view.paint(draw);
    });
  }

  // -- the pointer -----------------------------------------------------------------------------
  let line: Spot[] | null = null; // of the lasso, on the plane
  let began: PointerEvent | null = null;

  function spot(event: MouseEvent): Spot {
    const box = plot.getBoundingClientRect();
    const at = toBox({ x: 0, y: 0, width: box.width, height: box.height }, 1);
    return {
      x: (event.clientX - box.left - at.x(0)) / at.half,
      y: -(event.clientY - box.top - at.y(0)) / at.half,
    };
  }
  function under(event: MouseEvent): number {
    const box = plot.getBoundingClientRect();
    const { half } = toBox({ x: 0, y: 0, width: box.width, height: box.height }, 1);
    return shown ? nearest(now, spot(event), REACH / half) : -1;
  }
  function select(points: readonly number[], add: boolean): void {
    store.set("scatter_selected", selection(store.get("scatter_selected"), points, add));
  }
  listen(
    plot,
    "pointerdown",
    (event) => {
      if (event.button !== 0 || !shown) return;
      plot.setPointerCapture(event.pointerId);
      began = event;
    },
    signal,
  );
  listen(
    plot,
    "pointermove",
    (event) => {
      if (!began) {
        if (event.pointerType !== "touch") pointed.set(under(event));
        return;
      }
      const far = Math.hypot(event.clientX - began.clientX, event.clientY - began.clientY);
      if (!line && far < STIR) return;
      const [first, last] = [spot(began), spot(event)];
      if (options.tool() === "box")
        line = [first, { x: last.x, y: first.y }, last, { x: first.x, y: last.y }];
      else line = [...(line ?? [first]), last];
      pointed.set(-1);
      view.paint(drawLine);
    },
    signal,
  );
  listen(
    plot,
    "pointerup",
    (event) => {
      const drawn = line;
      [line, began] = [null, null];
      if (drawn) select(enclosed(now, drawn), event.shiftKey);
      else click(event);
      view.paint(drawLine);
    },
    signal,
  );
  listen(
    plot,
    "pointercancel",
    () => {
      [line, began] = [null, null];
      view.paint(drawLine);
    },
    signal,
  );
  listen(plot, "pointerleave", () => pointed.set(-1), signal);

  /** A point becomes what is asked about, with Shift one more that is selected. */
  function click(event: PointerEvent): void {
    const point = under(event);
    if (!shown || point < 0) {
      if (!event.shiftKey) select([], false);
      return;
    }
    if (event.shiftKey) toggle(point);
    else ask(point);
  }
  function toggle(point: number): void {
    const before = store.get("scatter_selected");
    if (before.includes(point))
      store.set(
        "scatter_selected",
        before.filter((one) => one !== point),
      );
    else select([point], true);
  }
  function ask(point: number): void {
    if (!shown) return;
    const query = queryOf(shown, point, tokensOf(store));
    if (query !== null) store.update({ image_index: shown.image[point], query });
  }
  listen(
    plot,
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const tokens = tokensOf(store);
      const point = options.query();
      if (event.key === "Enter" && point >= 0) toggle(point);
      else if (isArrow(event.key) && tokens)
        store.set("query", moveQuery(store.get("query"), event.key, tokens));
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    signal,
  );

  // -- what is drawn ---------------------------------------------------------------------------
  const style = getComputedStyle(root);
  function scene(): PointScene | null {
    if (!shown) return null;
    return {
      cloud: shown,
      ...now,
      rgb: options.rgb(),
      image: store.get("image_index"),
      selected: new Set(
        store.get("scatter_selected").filter((point) => point < (shown?.count ?? 0)),
      ),
      query: options.query(),
      pointed: pointed.get() >= 0 ? pointed.get() : options.hovered(),
      ink: style.getPropertyValue("--vw-ink").trim() || "#1a202c",
      paper: style.getPropertyValue("--vw-background").trim() || "#ffffff",
    };
  }
  function draw(): void {
    follow();
    const what = scene();
    const query = options.query();
    attribute(plot, {
      "aria-label": what
        ? `${what.cloud.count} tokens${query >= 0 ? `; ${pointName(what.cloud, query)}: arrows move` : ""}`
        : "no points yet",
      "data-points": what?.cloud.count ?? 0,
    });
    if (!sizeCanvas(canvas, size.width, size.height)) return;
    const ratio = canvas.width / size.width;
    const context = context2d(canvas);
    context.clearRect(0, 0, canvas.width, canvas.height);
    const box = { x: 0, y: 0, width: canvas.width, height: canvas.height };
    if (what) paintPoints(context, box, ratio, what);
  }
  function drawLine(): void {
    if (!sizeCanvas(lasso, size.width, size.height)) return;
    const context = context2d(lasso);
    context.clearRect(0, 0, lasso.width, lasso.height);
    if (!line) return;
    const ratio = lasso.width / size.width;
    const at = toBox({ x: 0, y: 0, width: lasso.width, height: lasso.height }, ratio);
    context.beginPath();
    for (const { x, y } of line) context.lineTo(at.x(x), at.y(y));
    context.closePath();
    context.strokeStyle = style.getPropertyValue("--vw-accent").trim();
    context.fillStyle = context.strokeStyle;
    context.globalAlpha = 0.12;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 1.5 * ratio;
    context.stroke();
  }
  const repaint = () => view.paint(draw);
  view.paintOn(["scatter_selected", "image_index"], draw);
  pointed.on(repaint);
  view.theme.on(repaint);
  const size = onResize(plot, repaint, signal);
  return { pointed, repaint, scene };
}
