// Small multiples: one metric each against depth, the original solid, altered versions dotted.
import {
  type ClusterCurves,
  curvePath,
  curvesOf,
  layerAt,
  METRICS,
  rangeOf,
  together,
  VERSION,
  type Version,
} from "../lib/clusters";
import { clampIndex } from "../lib/geometry";
import type { TokenClustersState } from "../lib/state";
import { attribute, el, listen, setText } from "./dom";
import type { View } from "./view";

const PURITY = 0;
const EDGES = 6; // pixels beside the first and the last layer, as in the style sheet

/** `curves` is what is measured of what is selected, or null while it is another's. */
export function drawClusterCurves(
  element: HTMLElement,
  view: View<TokenClustersState>,
  curves: () => ClusterCurves | null,
): () => void {
  const { store, signal } = view;
  element.classList.add("vw-cluster-curves");
  const plots = METRICS.map(({ text, title }) => {
    const numbers = el("span", "vw-cluster-values");
    const beside = el("span", "vw-muted vw-small vw-number");
    const plot = el("div", "vw-cluster-plot", { role: "img" });
    const [most, least] = [el("span", "vw-cluster-most"), el("span", "vw-cluster-least")];
    const figure = el(
      "div",
      "vw-cluster-figure",
      {},
      el("div", "vw-row", {}, el("span", "vw-title", { title }, text), beside),
      numbers,
      el("div", "vw-cluster-frame", {}, most, least, plot),
    );
    listen(plot, "click", (event) => choose(plot, event), signal);
    element.append(figure);
    return { figure, beside, plot, numbers, most, least, text };
  });

  function choose(plot: HTMLElement, event: MouseEvent): void {
    const box = plot.getBoundingClientRect();
    const share = (event.clientX - box.left - EDGES) / Math.max(1, box.width - 2 * EDGES);
    const count = store.get("layer_labels").length;
    if (count > 0) store.update({ layer: layerAt(share, count), playing: false });
  }

  return function draw(): void {
    const answer = curves();
    element.hidden = answer === null;
    if (!answer) return;
    const of = curvesOf(answer);
    const layers = of(0, 0).length;
    const layer = clampIndex(store.get("layer"), layers);
    element.style.setProperty("--vw-at", String(layers > 1 ? layer / (layers - 1) : 0));
    plots.forEach(({ figure, beside, plot, numbers, most, least, text }, metric) => {
      const rows = answer.versions.map((_, version) => of(version, metric));
      const range = rangeOf(rows.flat());
      figure.hidden = rows.every((row) => row.every(Number.isNaN));
      setText(most, String(range.high));
      setText(least, String(range.low).replace("-", "−"));
      // parsed, not created: numbers and our own names only, and the parser knows the namespace
      plot.innerHTML = `<svg class="vw-cluster-svg" aria-hidden="true" viewBox="0 0 1 1" preserveAspectRatio="none">${rows
        .map((row, i) => path(answer.versions[i], row, curvePath(row, range)))
        .reverse() // the original lies on top
        .join("")}</svg><div class="vw-cluster-marker"></div>`;
      const said = answer.versions.map((version, i) => {
        const value = rows[i][layer];
        return { version, words: Number.isFinite(value) ? signed(value) : "–" };
      });
      const all = metric === PURITY && answer.clustered === "objects" ? together(answer) : null;
      setText(beside, all === null ? "" : `one cluster: ${signed(all)}`);
      numbers.replaceChildren(
        ...said.map(({ version, words }) =>
          el("span", "vw-cluster-value", { title: VERSION[version].text }, line(version), words),
        ),
      );
      const spoken = said.map(({ version, words }) => `${VERSION[version].text} ${words}`);
      attribute(plot, { "aria-label": `${text} at layer ${layer}: ${spoken.join(", ")}` });
    });
  };
}

/** A short piece of the curve of a version, as its key. */
export function line(version: Version): HTMLElement {
  const key = el("span", "vw-cluster-key", { "data-version": version, "aria-hidden": "true" });
  key.style.setProperty("--vw-version", VERSION[version].colour);
  return key;
}

function path(version: Version, values: readonly number[], d: string): string {
  const style = `--vw-version:${VERSION[version].colour}`;
  const alone = values.length === 1 ? `${d}h0.001` : d; // a single layer is a dot
  return `<path data-version="${version}" style="${style}" d="${alone}" vector-effect="non-scaling-stroke"/>`;
}

function signed(value: number): string {
  return value.toFixed(2).replace("-", "−");
}
