// The whole model at a glance: one row per layer, one column per head, on a single canvas.
import type { Shown } from "../lib/attention";
import { colormapFor, pixelTable } from "../lib/colormap";
import { fit } from "../lib/geometry";
import { type Heat, headHeat } from "../lib/heat";
import { moveHead } from "../lib/keyboard";
import { orderHeads } from "../lib/order";
import type { Layer, Packet } from "../lib/packet";
import type { HeadGridState } from "../lib/state";
import { type Choose, choiceOf } from "./choice";
import { attribute, context2d, el, hasFocus, listen, onResize, sizeCanvas } from "./dom";
import { headNumber, largestOf, queryMark } from "./head_thumbnails";
import { AMBER, type AttentionView, queryOf, UNSEEN } from "./view";

const GAP = 3; // pixels between maps
const LABEL = 36;
const WIDEST_CELL = 56;

export function headMatrix(
  element: HTMLElement,
  view: AttentionView<HeadGridState>,
  shared: () => number | undefined,
  choose: Choose,
): () => void {
  const { store, signal, attention } = view;
  const canvas = el("canvas", "vw-matrix-canvas", { "aria-hidden": "true" });
  const head = el("div", "vw-matrix-head", { role: "row" });
  const grid = el(
    "div",
    "vw-matrix-grid",
    { role: "grid", "aria-label": "layers and heads" },
    head,
  );
  const scratch = document.createElement("canvas");
  element.append(canvas, grid);
  let built = "";
  let cells: HTMLElement[][] = [];
  let orders: number[][] = [];

  listen(
    element,
    "click",
    (event) => {
      const cell = event.target instanceof Element ? event.target.closest("[data-head]") : null;
      if (!cell) return;
      const layer = Number(cell.getAttribute("data-layer"));
      choose(layer, Number(cell.getAttribute("data-head")), orders[layer], choiceOf(event));
    },
    signal,
  );
  listen(
    element,
    "keydown",
    (event) => {
      const shown = attention.shown();
      if (!shown || event.altKey || event.ctrlKey || event.metaKey) return;
      const { layerIndex, head: current } = shown;
      const order = orders[layerIndex] ?? [];
      if (event.key === " " && event.shiftKey) choose(layerIndex, current, order, "toggle");
      else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
        const next = moveHead(current, event.key === "ArrowRight" ? 1 : -1, order);
        choose(layerIndex, next, order, event.shiftKey ? "extend" : "alone");
      } else return;
      event.preventDefault();
      event.stopPropagation();
    },
    signal,
  );

  function build(layers: readonly (Layer | null)[], columns: number): void {
    const wanted = layers.map((layer) => layer?.heads ?? 0).join(" ");
    if (wanted === built) return;
    built = wanted;
    element.style.setProperty("--vw-columns", String(columns));
    head.replaceChildren(
      el("span", "vw-matrix-corner", { role: "columnheader" }, "layer"),
      ...Array.from({ length: columns }, () => el("span", "", { role: "columnheader" })),
    );
    cells = layers.map((layer) =>
      Array.from({ length: layer?.heads ?? 0 }, () =>
        el("div", "vw-matrix-cell", { role: "gridcell" }),
      ),
    );
    const rows = layers.map((layer, i) =>
      el(
        "div",
        "vw-matrix-row",
        { role: "row", "data-row": i },
        el("span", "vw-matrix-label", { role: "rowheader" }, String(i)),
        ...cells[i],
        ...(layer ? [] : [el("span", "vw-note", {}, "not here yet")]),
      ),
    );
    grid.replaceChildren(head, ...rows);
  }

  let drawn = "";
  let packet: Packet | null = null;

  function draw(): void {
    const shown = attention.shown();
    if (!shown || store.get("span") !== "all layers") return;
    const { picture } = shown;
    const { layers } = picture.packet;
    const columns = Math.max(1, ...layers.map((layer) => layer?.heads ?? 1));
    build(layers, columns);
    const ways = (["sort", "scale", "colormap"] as const).map((key) => store.get(key));
    const now = [picture.row, picture.query, ...ways, size.width, devicePixelRatio].join(" ");
    // a change of layer or head moves the ring, nothing else
    if (now !== drawn || packet !== picture.packet) {
      drawn = now;
      packet = picture.packet;
      name(layers, picture.row);
      paint(layers, picture.row, queryOf(picture) ?? -1, columns);
    }
    mark(shown);
  }

  function name(layers: readonly (Layer | null)[], row: number): void {
    const sort = store.get("sort");
    orders = layers.map((layer) => (layer ? orderHeads(layer, row, sort) : []));
    attribute(head, { "data-sorted": sort !== "head" });
    const first = sort === "maximum" ? "highest →" : `lowest ${sort} →`;
    [...head.children].slice(1).forEach((node, i) => {
      node.textContent = sort === "head" ? String(i) : i === 0 ? first : "";
    });
    orders.forEach((order, i) => {
      order.forEach((one, at) => {
        const layer = layers[i] as Layer;
        const most = largestOf(layer, row, one);
        const label = `layer ${i}, head ${one}, ${headNumber(layer, row, one, sort)}, max ${most}`;
        const numbers = { "data-layer": i, "data-head": one };
        attribute(cells[i][at], { ...numbers, "aria-label": label, title: label });
      });
    });
  }

  function mark(shown: Shown): void {
    const focusedInside = hasFocus(grid);
    orders.forEach((order, i) => {
      const here = i === shown.layerIndex;
      attribute(grid.children[i + 1], { "data-current": here });
      order.forEach((one, at) => {
        const current = here && one === shown.head;
        attribute(cells[i][at], {
          "data-current": current,
          "aria-selected": String(here && shown.heads.includes(one)),
          tabindex: current ? 0 : -1,
        });
        if (current && focusedInside) cells[i][at].focus({ preventScroll: true });
      });
    });
  }

  function paint(
    layers: readonly (Layer | null)[],
    row: number,
    query: number,
    columns: number,
  ): void {
    const room = size.width - LABEL;
    const side = Math.max(8, Math.min(WIDEST_CELL, Math.floor(room / columns) - GAP));
    const step = side + GAP;
    element.style.setProperty("--vw-cell", `${side}px`);
    element.style.setProperty("--vw-gap", `${GAP}px`);
    if (room <= 0 || !sizeCanvas(canvas, columns * step, layers.length * step)) return;
    canvas.style.width = `${columns * step}px`;
    canvas.style.height = `${layers.length * step}px`;
    const ratio = canvas.width / (columns * step);
    const context = context2d(canvas);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = false;
    context.strokeStyle = AMBER;
    context.lineWidth = Math.max(1, ratio);
    const most = shared();
    layers.forEach((layer, i) => {
      if (!layer) return;
      const heats = orders[i].map((one) => headHeat(layer, row, one, most));
      const table = pixelTable(colormapFor(layer, store.get("colormap")));
      const strip = stripOf(heats, layer, table);
      const mark = queryMark(layer, query);
      const box = fit(layer.cols / layer.rows, side, side);
      const [w, h] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
      const y = Math.round((i * step + (side - box.height) / 2) * ratio);
      heats.forEach((_, at) => {
        const x = Math.round((at * step + (side - box.width) / 2) * ratio);
        context.fillStyle = UNSEEN;
        context.fillRect(x, y, w, h);
        context.drawImage(strip, at * layer.cols, 0, layer.cols, layer.rows, x, y, w, h);
        if (!mark) return;
        const [cw, ch] = [w * mark.width, h * mark.height];
        const px = Math.floor(x + w * mark.x) + 0.5;
        const py = Math.floor(y + h * mark.y) + 0.5;
        context.strokeRect(px, py, Math.max(2, Math.round(cw)), Math.max(2, Math.round(ch)));
      });
    });
  }

  /** The heads of one layer beside each other, one pixel per cell. */
  function stripOf(heats: Heat[], layer: Layer, table: Uint32Array): HTMLCanvasElement {
    const { rows, cols } = layer;
    const image = new ImageData(cols * heats.length, rows);
    const pixels = new Uint32Array(image.data.buffer);
    heats.forEach(({ levels }, at) => {
      for (let r = 0; r < rows; r++) {
        const start = r * image.width + at * cols;
        for (let c = 0; c < cols; c++) pixels[start + c] = table[levels[r * cols + c]];
      }
    });
    scratch.width = image.width;
    scratch.height = rows;
    context2d(scratch).putImageData(image, 0, 0);
    return scratch;
  }

  const size = onResize(element, () => view.paint(draw), signal);
  return draw;
}
