// The heads: thumbnails of one layer, or the whole model as a matrix of layers and heads.
import { colormapFor, gradient } from "../lib/colormap";
import { shortWeight } from "../lib/format";
import { largest } from "../lib/heat";
import { remark } from "../lib/readout";
import { extend, one, range, toggle } from "../lib/selection";
import type { HeadGridState } from "../lib/state";
import type { Choose } from "./choice";
import { attribute, el, setNote, setText } from "./dom";
import { headMatrix } from "./head_matrix";
import { headThumbnails } from "./head_thumbnails";
import { menu } from "./menu";
import { segmented } from "./segmented";
import type { AttentionView } from "./view";

export function drawHeadGrid(element: HTMLElement, view: AttentionView<HeadGridState>): void {
  const { store, attention } = view;
  const legend = el("div", "vw-legend");
  const bar = el("span", "vw-legend-bar", { "aria-hidden": "true" });
  const legendStart = el("span");
  const legendText = el("span");
  const note = el("p", "vw-note");
  const several = el("span", "vw-muted vw-several");
  legend.append(legendStart, bar, legendText);

  const span = segmented(view, "span", "which heads", [
    { value: "this layer", text: "this layer" },
    { value: "all layers", text: "all layers" },
  ]);
  const scale = segmented(view, "scale", "colour scale", [
    { value: "shared", text: "shared scale", title: "one maximum for all maps" },
    { value: "per map", text: "per map", title: "each map from 0 to its own maximum" },
  ]);
  const sort = menu(view, "sort", "sort heads", [
    { value: "head", text: "sort by head" },
    { value: "entropy", text: "sort by entropy" },
    { value: "distance", text: "sort by distance" },
    { value: "maximum", text: "sort by maximum" },
  ]);

  const choose: Choose = (layer, head, order, how) => {
    const now = { head: attention.shown()?.head ?? 0, heads: store.get("heads") };
    const next =
      how === "toggle"
        ? toggle(now, head)
        : how === "range"
          ? range(now, head, order)
          : how === "extend"
            ? extend(now, head)
            : one(head);
    store.update({ layer, ...next });
  };

  const thumbnails = el("div", "vw-thumbnails");
  const matrix = el("div", "vw-matrix");
  const stage = el("div", "vw-heads-stage", {}, thumbnails, matrix);
  element.classList.add("vw-head-grid");
  element.append(
    el(
      "div",
      "vw-bar vw-bar-wrap",
      {},
      el("div", "vw-heading", {}, el("span", "vw-title", {}, "Heads"), several),
      el("div", "vw-tools", {}, span, scale, sort),
    ),
    stage,
    el("div", "vw-legend-line", {}, legend, note),
  );

  const shared = (): number | undefined => {
    const shown = attention.shown();
    if (!shown || store.get("scale") === "per map") return undefined;
    const { picture, layer } = shown;
    const layers = store.get("span") === "all layers" ? picture.packet.layers : [layer];
    let most = 0;
    for (const one of layers)
      for (let head = 0; one && head < one.heads; head++)
        most = Math.max(most, largest(one, picture.row, head));
    return most;
  };

  const drawThumbnails = headThumbnails(thumbnails, view, shared, choose);
  const drawMatrix = headMatrix(matrix, view, shared, choose);

  function draw(): void {
    const shown = attention.shown();
    const all = store.get("span") === "all layers";
    thumbnails.hidden = all;
    matrix.hidden = !all;
    attribute(stage, { "data-waiting": attention.waitingSince() !== null });
    if (all) drawMatrix();
    else drawThumbnails();
    setText(several, shown && shown.heads.length > 1 ? `${shown.heads.length} chosen` : "");
    const layer = shown?.layer;
    legend.hidden = !layer;
    if (layer) bar.style.background = gradient(colormapFor(layer, store.get("colormap")));
    const most = shared();
    const least = most === undefined ? "−" : shortWeight(-most);
    setText(legendStart, layer?.signed ? least : "0");
    setText(
      legendText,
      most === undefined
        ? `each map’s own ${layer?.signed ? "largest magnitude" : "maximum"}, √ scale`
        : `${shortWeight(most)}, √ scale`,
    );
    setNote(note, !shown || !layer || all ? "" : remark(shown));
  }
  view.paintRow(draw);
  view.paintOn(["span", "scale", "sort", "colormap"], draw);
  view.theme.on(() => view.paint(draw));
}
