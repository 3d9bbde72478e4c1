// Curves over depth, each on a scale of its own: a click chooses a layer, the marked ones are lines.
import { heights, type Plot, plotsOf } from "../lib/depth";
import { plain } from "../lib/format";
import type { TokenDepthState } from "../lib/state";
import type { DepthModel } from "./depth_model";
import { DEPTH_KEYS } from "./depth_model";
import { attribute, el, listen, setNote } from "./dom";
import type { View } from "./view";

export function drawDepthCurves(
  element: HTMLElement,
  view: View<TokenDepthState>,
  model: DepthModel,
): void {
  const { store, signal } = view;
  const note = el("p", "vw-note", { role: "status" });
  const grid = el("div", "vw-depth-curves");
  element.append(grid, note);

  listen(
    grid,
    "click",
    (event) => {
      const plot = event.target instanceof Element ? event.target.closest(".vw-depth-svg") : null;
      if (!plot) return;
      const box = plot.getBoundingClientRect();
      const last = model.blocks().length - 1;
      model.show(Math.round(((event.clientX - box.left) / box.width) * last));
    },
    signal,
  );

  function figure(plot: Plot, at: number, beside: number | null): HTMLElement {
    const places = heights(plot);
    const count = plot.lines[0].values.length;
    const x = (block: number) => (count > 1 ? block / (count - 1) : 0.5);
    const mark = (block: number, kind: string) =>
      `<path data-mark="${kind}" d="M${x(block).toFixed(4)} 0V1" vector-effect="non-scaling-stroke"/>`;
    const lines = places.map((line, row) => {
      let [path, begun] = ["", false];
      line.forEach((height, block) => {
        if (height !== null)
          path += `${begun ? "L" : "M"}${x(block).toFixed(4)} ${(0.94 - 0.88 * height).toFixed(4)}`;
        begun = height !== null;
      });
      return `<path data-line="${row}" d="${path || "M0 0"}" vector-effect="non-scaling-stroke"/>`;
    });
    const marks = [
      ...(at >= 0 ? [mark(at, "layer")] : []),
      ...(beside !== null && beside < count ? [mark(beside, "beside")] : []),
    ];
    const drawing = el("div", "vw-depth-drawing");
    // parsed, not created: numbers only, and the parser knows the namespace
    drawing.innerHTML = `<svg class="vw-depth-svg" viewBox="0 0 1 1" preserveAspectRatio="none">${marks.join("")}${lines.reverse().join("")}</svg>`;
    const say = (value: number | null | undefined) =>
      value === null || value === undefined || !Number.isFinite(value)
        ? "–"
        : plain(value).replace("-", "−");
    const numbers = plot.lines.map(({ name, values }, row) =>
      el(
        "span",
        "vw-depth-number",
        { "data-line": row },
        plot.lines.length > 1 ? `${name} ` : "",
        el("b", "vw-number", {}, say(values[Math.max(0, at)])),
      ),
    );
    const words = plot.lines
      .map(({ name, values }) => `${name} ${say(values[0])} to ${say(values.at(-1))}`)
      .join(", ");
    attribute(drawing, {
      role: "img",
      "aria-label": `${plot.title} over ${count} blocks: ${words}`,
    });
    return el(
      "figure",
      "vw-depth-figure",
      {},
      el(
        "figcaption",
        "vw-small",
        {},
        plot.title,
        el("span", "vw-muted", {}, plot.logarithmic ? " · log" : ""),
      ),
      drawing,
      el("div", "vw-depth-numbers vw-small vw-muted", {}, ...numbers),
    );
  }

  function draw(): void {
    const plots = plotsOf(model.blocks(), model.curves());
    const [at, beside] = [model.at(), store.get("depth_beside")];
    grid.replaceChildren(...plots.map((plot) => figure(plot, at, beside)));
    const words = model.curves()?.note ?? "";
    setNote(note, words);
  }
  view.paintOn([...DEPTH_KEYS, "depth_curves"], draw);
}
