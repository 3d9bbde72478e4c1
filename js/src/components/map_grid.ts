// Maps beside each other, a row for each picture and a column for each method; one of them large.
import { mapHeat } from "../lib/attribution";
import { WHOLE } from "../lib/geometry";
import type { Compared, CompareMapsState } from "../lib/state";
import { isPacked, unpack } from "../lib/wire";
import { attribute, context2d, el, listen, setText } from "./dom";
import { type OverlayScene, paintOverlay } from "./overlay_painter";
import { makePhoto, type Photo } from "./photo";
import type { View } from "./view";

const SMALL = 176; // pixels of a canvas, on any screen
const LARGE = 720;

export function drawMapGrid(element: HTMLElement, view: View<CompareMapsState>): void {
  const { store, signal } = view;
  const grid = el("div", "vw-map-grid", { role: "group", "aria-label": "maps" });
  const canvas = el("canvas", "", { width: LARGE, height: LARGE, role: "img" });
  const words = el("p", "vw-note", { role: "status" });
  const large = el("div", "vw-map-large", {}, canvas, words);
  const rule =
    "√ scale, each map against its own largest magnitude; of both signs blue against, red for";
  element.classList.add("vw-map-comparison");
  element.append(el("div", "vw-map-pair", {}, grid, large), el("p", "vw-note", {}, rule));
  listen(
    grid,
    "click",
    (event) => {
      const item = event.target instanceof Element ? event.target.closest("[data-map]") : null;
      if (item)
        store.set("compare_chosen", String(item.getAttribute("data-map")).split(",").map(Number));
    },
    signal,
  );

  function found() {
    const maps = store.get("compare_maps") as Partial<Compared>;
    if (!isPacked(maps.values)) return null;
    const { codes, shape } = unpack(maps.values);
    return { codes, shape, titles: maps.titles ?? [], notes: maps.notes ?? [] };
  }
  function photos(): Photo[] {
    const packed = store.get("compare_pictures");
    if (!isPacked(packed)) return [];
    const { codes, shape } = unpack(packed);
    const [height, width] = shape.slice(-3);
    const count = codes.length / (height * width * 3);
    const one = height * width * 3;
    return Array.from({ length: count }, (_, i) =>
      makePhoto(codes.subarray(i * one, (i + 1) * one), width, height),
    );
  }
  function scene(photo: Photo | null, row: number, column: number): OverlayScene | null {
    const maps = found();
    if (!maps) return null;
    const [, columns, rows, cols] = maps.shape;
    const start = (row * columns + column) * rows * cols;
    const values = (maps.codes as Float32Array).subarray(start, start + rows * cols);
    const none = values.every(Number.isNaN);
    const signed = values.some((value) => value < 0);
    return {
      photo,
      heat: none ? null : mapHeat(values, rows, cols, signed),
      values: null,
      map: { rows, cols, prefix: 0, names: [], extent: WHOLE },
      asked: null,
      colormap: store.get("colormap"),
      opacity: store.get("opacity"),
      fade: (size) => Math.min(1, 1.2 * size),
      drawing: "smooth",
      contour: 0,
      query: null,
      pins: [],
      pointed: null,
    };
  }
  function paint(on: HTMLCanvasElement, photo: Photo | null, row: number, column: number): void {
    const now = scene(photo, row, column);
    const box = { x: 0, y: 0, width: on.width, height: on.height };
    if (now) paintOverlay(context2d(on), box, 2, now);
  }
  function draw(): void {
    const [all, rows, columns] = [
      photos(),
      store.get("compare_rows"),
      store.get("compare_columns"),
    ];
    const chosen = store.get("compare_chosen");
    const maps = found();
    grid.style.setProperty("--vw-methods", String(columns.length));
    grid.replaceChildren(
      el("span"),
      ...columns.map((name) => el("b", "vw-ellipsis vw-small", {}, name)),
      ...rows.flatMap((name, row) => [
        el("span", "vw-map-row vw-small vw-muted", {}, name),
        ...columns.map((method, column) => {
          const small = el("canvas", "", { width: SMALL, height: SMALL, "aria-hidden": "true" });
          const title = maps?.titles[row]?.[column] ?? "";
          const pressed = chosen[0] === row && chosen[1] === column;
          const about = { "data-map": `${row},${column}`, "aria-pressed": String(pressed) };
          const said = { title: maps?.notes[row]?.[column] || title };
          const label = { "aria-label": `${method}, ${name}: ${title}` };
          paint(small, all[row] ?? null, row, column);
          const under = el("span", "vw-ellipsis vw-small vw-muted", {}, title);
          return el(
            "button",
            "vw-map-cell",
            { type: "button", ...about, ...said, ...label },
            small,
            under,
          );
        }),
      ]),
    );
    const [row, column] = chosen;
    large.hidden = column === undefined || !rows[row] || !columns[column];
    if (large.hidden) return;
    paint(canvas, all[row] ?? null, row, column);
    const title = `${columns[column]} · ${rows[row]} · ${maps?.titles[row]?.[column] ?? ""}`;
    const note = maps?.notes[row]?.[column] ?? "";
    attribute(canvas, { "aria-label": title });
    setText(words, note ? `${title} · ${note}` : title);
  }
  view.drawn.set(() => (found() ? store.get("compare_chosen").join() || "all" : ""));
  view.paintOn(
    [
      "compare_pictures",
      "compare_rows",
      "compare_columns",
      "compare_maps",
      "compare_chosen",
      "colormap",
      "opacity",
    ],
    draw,
  );
}
