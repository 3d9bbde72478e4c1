// Heads as points of a plane, on canvas: a click shows one, a lasso selects some.
import type { Rgb } from "../lib/colormap";
import { type HeadPoints, hasPair, type Pair, samePair } from "../lib/dashboard";
import { isArrow } from "../lib/keyboard";
import { enclosed, nearest } from "../lib/scatter";
import type { HeadDashboardState } from "../lib/state";
import { DASHBOARD_KEYS, type DashboardModel } from "./dashboard_model";
import { attribute, context2d, el, listen, onResize, sizeCanvas } from "./dom";
import type { View } from "./view";

const [MARGIN, RADIUS, REACH, STIR] = [16, 4.5, 14, 4]; // CSS pixels

interface Spot {
  x: number;
  y: number;
}

export interface Plane {
  points(): HeadPoints | null;
  colour(pair: Pair, i: number): Rgb;
  /** What it is, for a screen reader. */
  label(): string;
  /** Whether both axes have one scale. */
  square: boolean;
}

export function drawDashboardPlane(
  element: HTMLElement,
  view: View<HeadDashboardState>,
  model: DashboardModel,
  plane: Plane,
): () => void {
  const { store, signal, root } = view;
  const canvas = el("canvas", "vw-dash-canvas", { "aria-hidden": "true" });
  const plot = el(
    "div",
    "vw-dash-plane",
    { tabindex: 0, role: "application", "aria-roledescription": "heads as points" },
    canvas,
  );
  element.append(plot);

  function scales() {
    const [w, h] = [size.width / 2 - MARGIN, size.height / 2 - MARGIN];
    const side = Math.min(w, h);
    return plane.square ? { w: side, h: side } : { w, h };
  }
  /** Where points are, in half widths that are the same both ways. */
  function placed(points: HeadPoints): { x: Float32Array; y: Float32Array } {
    const { w, h } = scales();
    return { x: points.x.map((one) => one * w), y: points.y.map((one) => one * h) };
  }
  function spot(event: MouseEvent): Spot {
    const box = plot.getBoundingClientRect();
    return {
      x: event.clientX - box.left - box.width / 2,
      y: box.top + box.height / 2 - event.clientY,
    };
  }
  function under(event: MouseEvent): Pair | null {
    const points = plane.points();
    const found = points ? nearest(placed(points), spot(event), REACH) : -1;
    return points && found >= 0 ? points.heads[found] : null;
  }

  let began: PointerEvent | null = null;
  let line: Spot[] | null = null;
  listen(
    plot,
    "pointerdown",
    (event) => {
      if (event.button !== 0 || !plane.points()) return;
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
        if (event.pointerType !== "touch") model.pointed.set(under(event));
        return;
      }
      const far = Math.hypot(event.clientX - began.clientX, event.clientY - began.clientY);
      if (!line && far < STIR) return;
      line = [...(line ?? [spot(began)]), spot(event)];
      view.paint(draw);
    },
    signal,
  );
  listen(
    plot,
    "pointerup",
    (event) => {
      const drawn = line;
      const pressed = began !== null;
      [began, line] = [null, null];
      const points = plane.points();
      if (!points || !pressed) return;
      if (drawn) {
        const found = enclosed(placed(points), drawn).map((i) => points.heads[i]);
        model.select(found, event.shiftKey);
      } else {
        const pair = under(event);
        if (pair && (event.shiftKey || event.ctrlKey || event.metaKey)) model.toggle(pair);
        else if (pair) model.show(pair);
        else if (!event.shiftKey) model.select([], false);
      }
      view.paint(draw);
    },
    signal,
  );
  listen(
    plot,
    "pointercancel",
    () => {
      [began, line] = [null, null];
      view.paint(draw);
    },
    signal,
  );
  listen(plot, "pointerleave", () => model.pointed.set(null), signal);
  listen(
    plot,
    "keydown",
    (event) => {
      const points = plane.points();
      if (!points || event.ctrlKey || event.metaKey || event.altKey) return;
      const current = model.current();
      if (event.key === " " || event.key === "Enter") model.toggle(current);
      else if (isArrow(event.key)) {
        const next = towards(points, current, event.key);
        if (next) model.show(next);
      } else return;
      event.preventDefault();
      event.stopPropagation();
    },
    signal,
  );
  /** The nearest point in the direction of an arrow. */
  function towards(points: HeadPoints, from: Pair, key: string): Pair | null {
    const { x, y } = placed(points);
    const at = points.heads.findIndex((pair) => samePair(pair, from));
    if (at < 0) return points.heads[0] ?? null;
    const sign = key === "ArrowLeft" || key === "ArrowDown" ? -1 : 1;
    const across = key === "ArrowLeft" || key === "ArrowRight";
    let [best, least] = [-1, Number.POSITIVE_INFINITY];
    for (let i = 0; i < x.length; i++) {
      const [dx, dy] = [x[i] - x[at], y[i] - y[at]];
      const ahead = sign * (across ? dx : dy);
      if (i === at || ahead <= 0) continue;
      const cost = ahead + 2 * Math.abs(across ? dy : dx);
      if (cost < least) [best, least] = [i, cost];
    }
    return best < 0 ? null : points.heads[best];
  }

  const style = getComputedStyle(root);
  const ink = (name: string) => style.getPropertyValue(name).trim();
  function draw(): void {
    const points = plane.points();
    attribute(plot, {
      "aria-label": `${plane.label()}${points ? `, ${points.heads.length} heads: arrows move, space selects` : ""}`,
      "data-points": points?.heads.length ?? 0,
    });
    if (!sizeCanvas(canvas, size.width, size.height)) return;
    const ratio = canvas.width / size.width;
    const context = context2d(canvas);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size.width, size.height);
    if (points) paint(context, points);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }
  function paint(context: CanvasRenderingContext2D, points: HeadPoints): void {
    const { x, y } = placed(points);
    const [cx, cy] = [size.width / 2, size.height / 2];
    const selected = store.get("heads_selected");
    const removed = model.removed();
    const [current, pointed] = [model.current(), model.pointed.get()];
    const disc = (i: number, radius: number) => {
      context.beginPath();
      context.arc(cx + x[i], cy - y[i], radius, 0, 2 * Math.PI);
    };
    points.heads.forEach((pair, i) => {
      const faint = (selected.length > 0 && !hasPair(selected, pair)) || hasPair(removed, pair);
      context.globalAlpha = faint ? 0.3 : 0.95;
      context.fillStyle = `rgb(${plane.colour(pair, i).join()})`;
      disc(i, RADIUS);
      context.fill();
      context.globalAlpha = faint ? 0.2 : 0.5;
      context.lineWidth = 0.75;
      context.strokeStyle = ink("--vw-ink");
      context.stroke();
    });
    context.globalAlpha = 1;
    points.heads.forEach((pair, i) => {
      const here = samePair(pair, current);
      if (!here && !(pointed && samePair(pair, pointed))) return;
      disc(i, RADIUS + 3);
      context.lineWidth = here ? 2 : 1;
      context.strokeStyle = ink(here ? "--vw-accent" : "--vw-ink");
      context.stroke();
    });
    if (!line) return;
    context.beginPath();
    for (const one of line) context.lineTo(cx + one.x, cy - one.y);
    context.closePath();
    context.strokeStyle = ink("--vw-accent");
    context.fillStyle = ink("--vw-accent");
    context.globalAlpha = 0.12;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 1.5;
    context.stroke();
  }
  const repaint = () => view.paint(draw);
  const size = onResize(plot, repaint, signal);
  view.paintOn([...DASHBOARD_KEYS, "heads_across", "heads_up"], draw);
  model.pointed.on(repaint);
  view.theme.on(repaint);
  return repaint;
}
