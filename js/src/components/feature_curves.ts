// What was measured at each step: three curves, each on a scale of its own, named where they end.
import { curvePoints, spread, stepsOf } from "../lib/feature";
import { plain } from "../lib/format";
import type { FeatureCanvasState } from "../lib/state";
import type { Local } from "../lib/store";
import { isPacked, unpack } from "../lib/wire";
import { attribute, el } from "./dom";
import type { View } from "./view";

/** As they are packed; drawn from the last to the first. */
const NAMES = ["loss", "activation", "total variation"] as const;
const HEIGHT = 72;
const LABEL_HEIGHT = 16;
/** The plot is at most this many times as wide as what there is to draw. */
const NARROWEST = 4;

export function drawFeatureCurves(
  element: HTMLElement,
  view: View<FeatureCanvasState>,
  chosen: Local<number>,
): void {
  const { store } = view;
  const plot = el("div", "vw-feature-plot");
  const labels = NAMES.map((name) => el("span", "vw-feature-label", { "data-curve": name }));
  element.classList.add("vw-feature-curves");
  attribute(element, { role: "img" });
  element.append(plot, ...labels);

  function draw(): void {
    const packed = store.get("feature_curves");
    element.hidden = !isPacked(packed) || packed.shape[2] === 0;
    if (!isPacked(packed) || element.hidden) return;
    const { value, shape } = unpack(packed);
    const [, pictures, points] = shape;
    const picture = Math.min(chosen.get(), pictures - 1);
    const { every, last } = packed as typeof packed & { every: number; last: number };
    const total = Math.max(last, store.get("feature_progress").steps ?? last);
    const width = Math.min(total, NARROWEST * last); // the first steps are seen apart
    const steps = stepsOf(points, every, last);
    const curves = NAMES.map((_, row) => {
      const map = row * pictures + picture;
      return curvePoints((point) => value(map, point), steps, width);
    });
    // parsed, not created: numbers only, and the parser knows the namespace
    plot.innerHTML = `<svg class="vw-feature-svg" viewBox="0 0 1 1" preserveAspectRatio="none">${curves
      .map((curve, row) => {
        const line = curve.map(({ x, y }) => `${x.toFixed(4)} ${y.toFixed(4)}`).join("L");
        return `<path data-curve="${NAMES[row]}" d="M${line || "0 0"}" vector-effect="non-scaling-stroke"/>`;
      })
      .reverse()
      .join("")}</svg>`;
    const ends = curves.map((curve) => (curve.at(-1)?.y ?? 0.5) * HEIGHT - LABEL_HEIGHT / 2);
    const tops = spread(ends, LABEL_HEIGHT, HEIGHT - LABEL_HEIGHT + 4);
    const words = NAMES.map((name, row) => {
      const number = plain(value(row * pictures + picture, points - 1)).replace("-", "−");
      labels[row].replaceChildren(`${name} `, el("b", "", {}, number));
      labels[row].style.top = `${tops[row].toFixed(1)}px`;
      return `${name} ${number}`;
    });
    element.style.setProperty("--vw-at", String(width > 0 ? last / width : 0));
    attribute(element, { "aria-label": `at step ${last} of ${total}: ${words.join(", ")}` });
  }
  view.paintOn(["feature_curves"], draw);
  chosen.on(() => view.paint(draw));
}
