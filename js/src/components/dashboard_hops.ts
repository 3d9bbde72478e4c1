// How much the selected heads give to patches so many hops away: a line a head.
import { hopsOf, layerColour, linePath } from "../lib/dashboard";
import { percent } from "../lib/format";
import type { HeadDashboardState } from "../lib/state";
import { DASHBOARD_KEYS, type DashboardModel } from "./dashboard_model";
import { attribute, el, setText } from "./dom";
import type { View } from "./view";

const MOST_LINES = 24;

export function drawDashboardHops(
  element: HTMLElement,
  view: View<HeadDashboardState>,
  model: DashboardModel,
): void {
  const [high, low] = [el("span", "vw-dash-high"), el("span", "vw-dash-low", {}, "0")];
  const drawing = el("div", "vw-dash-drawing", { role: "img" });
  const said = el("p", "vw-note vw-dash-words");
  const frame = el("div", "vw-dash-frame", {}, high, low, drawing);
  element.append(frame, said);

  function draw(): void {
    const statistics = model.statistics();
    const pairs = model.chosen().slice(0, MOST_LINES);
    const lines = statistics
      ? pairs
          .map((pair) => ({ pair, hops: hopsOf(statistics, pair).filter(Number.isFinite) }))
          .filter(({ hops }) => hops.length > 0)
      : [];
    frame.hidden = lines.length === 0;
    if (lines.length === 0) {
      const words = "Hops have no meaning here: patches without known places, or in frames.";
      setText(said, statistics ? words : "");
      return;
    }
    const most = Math.max(...lines.flatMap(({ hops }) => hops), 1e-9);
    const layers = model.grid("entropy")?.layers ?? 1;
    const [layer, head] = model.current();
    const paths = lines.map(({ pair, hops }) => {
      const here = pair[0] === layer && pair[1] === head;
      const style = `stroke:rgb(${layerColour(pair[0], layers).join()})`;
      return `<path ${here ? "data-current" : ""} style="${style}" d="${linePath(hops, { low: 0, high: most })}" vector-effect="non-scaling-stroke"/>`;
    });
    // parsed, not created: numbers only, and the parser knows the namespace
    drawing.innerHTML = `<svg class="vw-dash-svg" aria-hidden="true" viewBox="0 0 1 1" preserveAspectRatio="none">${paths.join("")}</svg>`;
    setText(high, percent(most));
    const one = lines.find(({ pair }) => pair[0] === layer && pair[1] === head) ?? lines[0];
    const [itself, near] = one.hops;
    const words =
      `layer ${one.pair[0]}, head ${one.pair[1]}: ${percent(itself)} to the patch itself, ` +
      `${percent(near ?? 0)} to its neighbours, the rest up to ${one.hops.length - 1} hops away` +
      `${lines.length > 1 ? `; ${lines.length} heads drawn` : ""}`;
    setText(said, words);
    attribute(drawing, { "aria-label": words });
  }
  view.paintOn(DASHBOARD_KEYS, draw);
}
