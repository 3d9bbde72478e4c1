// Heads by what their maps look like: a point each, coloured by cluster, and the map of one.
import { pixelTable } from "../lib/colormap";
import { type Pair, patternPoints, samePair } from "../lib/dashboard";
import { weightHeat } from "../lib/depth";
import { percent } from "../lib/format";
import { segmentColour } from "../lib/patch_features";
import type { HeadDashboardState } from "../lib/state";
import { isPacked, unpack } from "../lib/wire";
import { DASHBOARD_KEYS, type DashboardModel } from "./dashboard_model";
import { drawDashboardPlane } from "./dashboard_plane";
import { attribute, el, listen, setText } from "./dom";
import { slider } from "./overlay_controls";
import { paintCells } from "./pixels";
import type { View } from "./view";

export function drawDashboardPatterns(
  element: HTMLElement,
  view: View<HeadDashboardState>,
  model: DashboardModel,
): void {
  const { store, signal } = view;
  const [plot, legend] = [el("div"), el("div", "vw-dash-clusters")];
  const canvas = el("canvas", "vw-cells vw-dash-thumb", { role: "img" });
  const caption = el("p", "vw-note vw-dash-words");
  const note = el("p", "vw-note", { role: "status" });
  const body = el(
    "div",
    "",
    {},
    plot,
    el("div", "vw-dash-map", {}, canvas, el("div", "", {}, caption, legend)),
    slider(view, "heads_k", { min: 1, max: 12, step: 1, label: "clusters" }, String),
  );
  element.append(body, note);
  const at = (pair: Pair) => model.patterns()?.of.findIndex((one) => samePair(one, pair)) ?? -1;
  drawDashboardPlane(plot, view, model, {
    points() {
      const found = model.patterns();
      return found ? patternPoints(found) : null;
    },
    colour: (_pair, i) => segmentColour(model.patterns()?.labels[i] ?? 0),
    label: () => "patterns of heads",
    square: true,
  });
  listen(
    legend,
    "click",
    (event) => {
      const chip = event.target instanceof Element ? event.target.closest("[data-cluster]") : null;
      const [found, cluster] = [model.patterns(), Number(chip?.getAttribute("data-cluster"))];
      if (!chip || !found) return;
      const members = found.of.filter((_, i) => found.labels[i] === cluster);
      model.select(
        members.map(([layer, head]) => [layer, head] as const),
        event.shiftKey,
      );
    },
    signal,
  );

  let legendOf: unknown = null;
  function draw(): void {
    const found = model.patterns();
    const there = found !== null && found.of.length > 0;
    body.hidden = !there;
    const lost =
      typeof found?.lost === "number" ? `, ${percent(1 - found.lost)} of the variance` : "";
    const about = `k-means on the first components of the maps between patches${lost}, of the image in view.`;
    setText(note, [found?.note, there ? about : ""].filter(Boolean).join(" · "));
    if (!found || !there) return;
    const pair = model.pointed.get() ?? model.current();
    const i = at(pair);
    canvas.hidden = i < 0;
    const where = `layer ${pair[0]}, head ${pair[1]}`;
    setText(
      caption,
      i < 0
        ? `${where}: its map is not compared`
        : `${where}, cluster ${found.labels[i]}: patches that ask down, those asked across`,
    );
    if (i >= 0 && isPacked(found.maps)) {
      const { codes, shape } = unpack(found.maps);
      const [, rows, cols] = shape;
      const map = codes.subarray(i * rows * cols, (i + 1) * rows * cols);
      paintCells(canvas, weightHeat(map, rows, cols), pixelTable(store.get("colormap")));
      attribute(canvas, { "aria-label": `map of ${where}`, "data-map": pair.join(".") });
    }
    if (legendOf === found) return;
    legendOf = found;
    const sizes = new Map<number, number>();
    for (const label of found.labels) sizes.set(label, (sizes.get(label) ?? 0) + 1);
    legend.replaceChildren(
      ...[...sizes]
        .sort(([a], [b]) => a - b)
        .map(([cluster, size]) => {
          const swatch = el("span", "vw-swatch");
          swatch.style.background = `rgb(${segmentColour(cluster).join()})`;
          const title = `select the ${size} heads of cluster ${cluster}`;
          return el(
            "button",
            "vw-chip",
            { type: "button", "data-cluster": cluster, title, "aria-label": title },
            swatch,
            String(size),
          );
        }),
    );
  }
  view.paintOn(DASHBOARD_KEYS, draw);
  model.pointed.on(() => view.paint(draw));
}
