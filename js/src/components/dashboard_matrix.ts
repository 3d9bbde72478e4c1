// All heads of the model: a row a layer, a column a head, coloured by the number that is chosen.
import { ABOUT, colourOf, type Grid, hasPair, type Pair, rangeOf, within } from "../lib/dashboard";
import { clampIndex } from "../lib/geometry";
import { isArrow } from "../lib/keyboard";
import type { HeadDashboardState } from "../lib/state";
import { DASHBOARD_KEYS, type DashboardModel } from "./dashboard_model";
import { attribute, context2d, el, listen, onResize, sizeCanvas } from "./dom";
import { UNSEEN, type View } from "./view";

const [LABEL, TOP, GAP, TALLEST] = [26, 18, 2, 30]; // CSS pixels
const STIR = 4; // pixels that a click may move

export function drawDashboardMatrix(
  element: HTMLElement,
  view: View<HeadDashboardState>,
  model: DashboardModel,
): void {
  const { store, signal, root } = view;
  const canvas = el("canvas", "vw-dash-canvas", { "aria-hidden": "true" });
  const frame = el(
    "div",
    "vw-dash-matrix",
    { tabindex: 0, role: "application", "aria-roledescription": "matrix of heads" },
    canvas,
  );
  element.append(frame);

  const shown = (): Grid | null => model.grid(store.get("heads_number"));
  let last: Grid | null = null;
  /** Rows and columns, also while numbers are on their way. */
  function shape(): Grid | null {
    last = shown() ?? model.grid("entropy") ?? last;
    return last;
  }

  function layout() {
    const cells = shape();
    if (!cells) return null;
    const wide = (size.width - LABEL) / cells.heads;
    return { cells, wide, tall: Math.max(12, Math.min(TALLEST, wide * 0.72)) };
  }
  function under(event: MouseEvent): Pair | null {
    const now = layout();
    const box = canvas.getBoundingClientRect();
    if (!now || box.width === 0) return null;
    const layer = Math.floor((event.clientY - box.top - TOP) / now.tall);
    const head = Math.floor((event.clientX - box.left - LABEL) / now.wide);
    const inside = layer >= 0 && head >= 0 && layer < now.cells.layers && head < now.cells.heads;
    return inside ? [layer, head] : null;
  }
  const there = (pair: Pair | null): pair is Pair =>
    pair !== null && !Number.isNaN(model.grid("entropy")?.at(...pair) ?? 0);

  // -- the pointer -----------------------------------------------------------------------------
  let began: { event: PointerEvent; pair: Pair } | null = null;
  let reached: Pair | null = null;
  listen(
    frame,
    "pointerdown",
    (event) => {
      const pair = under(event);
      if (event.button !== 0 || !pair) return;
      frame.setPointerCapture(event.pointerId);
      began = { event, pair };
    },
    signal,
  );
  listen(
    frame,
    "pointermove",
    (event) => {
      const pair = under(event);
      if (!began) {
        point(there(pair) ? pair : null);
        return;
      }
      const [dx, dy] = [event.clientX - began.event.clientX, event.clientY - began.event.clientY];
      if (!pair || (!reached && Math.hypot(dx, dy) < STIR)) return;
      reached = pair;
      view.paint(draw);
    },
    signal,
  );
  listen(
    frame,
    "pointerup",
    (event) => {
      const [from, to] = [began?.pair, reached];
      [began, reached] = [null, null];
      const cells = model.grid("entropy") ?? shape();
      if (!from || !cells) return;
      const brushed = to && (to[0] !== from[0] || to[1] !== from[1]);
      if (brushed) model.select(within(cells, from, to), event.shiftKey);
      else if (!there(from)) return;
      else if (event.shiftKey || event.ctrlKey || event.metaKey) model.toggle(from);
      else model.show(from);
      view.paint(draw);
    },
    signal,
  );
  listen(
    frame,
    "pointercancel",
    () => {
      [began, reached] = [null, null];
      view.paint(draw);
    },
    signal,
  );
  listen(frame, "pointerleave", () => point(null), signal);
  function point(pair: Pair | null): void {
    const was = model.pointed.get();
    if (was?.[0] !== pair?.[0] || was?.[1] !== pair?.[1]) model.pointed.set(pair);
  }
  listen(
    frame,
    "keydown",
    (event) => {
      const cells = shape();
      if (!cells || event.ctrlKey || event.metaKey || event.altKey) return;
      const [layer, head] = model.current();
      if (event.key === " " || event.key === "Enter") model.toggle([layer, head]);
      else if (isArrow(event.key)) {
        const by = event.key === "ArrowLeft" || event.key === "ArrowUp" ? -1 : 1;
        const down = event.key === "ArrowUp" || event.key === "ArrowDown";
        const next: Pair = [
          clampIndex(layer + (down ? by : 0), cells.layers),
          clampIndex(head + (down ? 0 : by), cells.heads),
        ];
        if (event.shiftKey) model.select([[layer, head], next], true);
        model.show(next);
      } else return;
      event.preventDefault();
      event.stopPropagation();
    },
    signal,
  );

  // -- what is drawn ---------------------------------------------------------------------------
  const style = getComputedStyle(root);
  const colour = (name: string) => style.getPropertyValue(name).trim();

  function draw(): void {
    const now = layout();
    frame.hidden = now === null;
    if (!now) return;
    const { cells, wide, tall } = now;
    const number = store.get("heads_number");
    const values = shown();
    const [layer, head] = model.current();
    const value = values?.at(layer, head) ?? Number.NaN;
    const selected = store.get("heads_selected");
    attribute(frame, {
      "aria-label":
        `layer ${layer}, head ${head}, ${ABOUT[number].text} ${ABOUT[number].words(value)}` +
        `${hasPair(selected, [layer, head]) ? ", selected" : ""}; arrows move, space selects`,
      "data-layers": cells.layers,
      "data-heads": cells.heads,
      "data-removed": model.removed().length,
    });
    const height = TOP + cells.layers * tall;
    frame.style.height = `${height}px`;
    if (!sizeCanvas(canvas, size.width, height)) return;
    const ratio = canvas.width / size.width;
    const context = context2d(canvas);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size.width, height);
    const range = values && rangeOf(values, number);
    const removed = model.removed();
    const brush = began && reached ? within(cells, began.pair, reached) : [];
    context.font = `11px ${colour("--vw-font") || "system-ui"}`;
    context.textBaseline = "middle";
    context.fillStyle = colour("--vw-muted");
    context.textAlign = "center";
    const every = Math.ceil(18 / wide); // columns between two labels
    for (let h = 0; h < cells.heads; h += every)
      context.fillText(String(h), LABEL + (h + 0.5) * wide, TOP / 2);
    context.textAlign = "right";
    for (let l = 0; l < cells.layers; l++)
      context.fillText(String(l), LABEL - 8, TOP + (l + 0.5) * tall);
    const known = model.grid("entropy");
    for (let l = 0; l < cells.layers; l++)
      for (let h = 0; h < cells.heads; h++) {
        if (known && Number.isNaN(known.at(l, h))) continue; // this layer has fewer heads
        const [x, y, w, t] = [LABEL + h * wide, TOP + l * tall, wide - GAP, tall - GAP];
        const rgb = values ? colourOf(values.at(l, h), number, range, store.get("colormap")) : null;
        const gone = hasPair(removed, [l, h]);
        context.globalAlpha = gone ? 0.25 : 1;
        context.fillStyle = rgb ? `rgb(${rgb.join()})` : UNSEEN;
        context.fillRect(x, y, w, t);
        context.globalAlpha = 1;
        if (gone) {
          context.strokeStyle = colour("--vw-muted");
          context.lineWidth = 1;
          context.beginPath();
          context.moveTo(x, y + t);
          context.lineTo(x + w, y);
          context.stroke();
        }
        const picked = hasPair(selected, [l, h]) || hasPair(brush, [l, h]);
        if (picked) ring(context, [x + 1.5, y + 1.5, w - 3, t - 3], colour("--vw-ink"), 1.5);
      }
    const mark = (pair: Pair, shade: string, width: number) => {
      const [x, y] = [LABEL + pair[1] * wide, TOP + pair[0] * tall];
      ring(context, [x - 1, y - 1, wide, tall], shade, width);
    };
    const at = model.pointed.get();
    if (at) mark(at, colour("--vw-muted"), 1);
    if (layer < cells.layers && head < cells.heads) mark([layer, head], colour("--vw-accent"), 2.5);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }
  function ring(
    context: CanvasRenderingContext2D,
    box: [number, number, number, number],
    shade: string,
    width: number,
  ): void {
    context.lineWidth = width + 1.5;
    context.strokeStyle = colour("--vw-background");
    context.strokeRect(...box);
    context.lineWidth = width;
    context.strokeStyle = shade;
    context.strokeRect(...box);
  }
  const size = onResize(element, () => view.paint(draw), signal);
  view.paintOn(DASHBOARD_KEYS, draw);
  model.pointed.on(() => view.paint(draw));
  view.theme.on(() => view.paint(draw));
}
