// Small maps beside each other, a row for each picture and model and a column for each method.
import { comparedHeat, type Mean, meanWords, numberAt, two } from "../lib/comparison";
import { boxOf, holding, type Place, WHOLE } from "../lib/geometry";
import { isArrow } from "../lib/keyboard";
import type { CompareMapsState } from "../lib/state";
import { type Comparison, numberWords } from "./compare_model";
import { attribute, context2d, el, listen, setText } from "./dom";
import { emptyScene, type OverlayScene, paintOverlay } from "./overlay_painter";
import type { View } from "./view";

const [LEAST, USUAL, MOST] = [104, 128, 420]; // pixels of a column

/** What is laid over the picture of a row, small or in a file. */
export function sceneOfMap(
  { store }: View<CompareMapsState>,
  found: Comparison,
  row: number,
  column: number,
): OverlayScene {
  const map = found.map(row, column);
  return {
    ...emptyScene(store),
    photo: found.photo(row),
    heat: map && comparedHeat(map, found.scale(column), store.get("compare_scale")),
    map: map?.axis ?? null,
  };
}

interface Cell {
  element: HTMLElement;
  canvas: HTMLCanvasElement;
  mark: HTMLElement;
  number: HTMLElement;
  label: string;
}

/** `place` is the patch that is compared, of the map that is chosen. Returns: draw the marks again. */
export function drawMapGrid(
  element: HTMLElement,
  view: View<CompareMapsState>,
  found: Comparison,
  place: () => Place | null,
): () => void {
  const { store, signal } = view;
  element.classList.add("vw-map-grid");
  attribute(element, { role: "grid", "aria-label": "maps" });
  let cells: Cell[][] = [];
  let width = USUAL;
  const painted = new WeakMap<Element, () => void>();
  // a long list is drawn as far as it is in sight
  const sight = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) if (entry.isIntersecting) painted.get(entry.target)?.();
    },
    { root: element, rootMargin: "200px" },
  );
  signal.addEventListener("abort", () => sight.disconnect());

  function choose(row: number, column: number): void {
    const one = found.rows()[row];
    const attribution_method = found.methods()[column];
    if (!one || attribution_method === undefined) return;
    store.update({ image_index: one.image_index, compare_model: one.model, attribution_method });
  }
  listen(
    element,
    "click",
    (event) => {
      const at = placeOf(event.target);
      if (at) choose(...at);
    },
    signal,
  );
  listen(
    element,
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const at = placeOf(event.target);
      const to = at && step(event.key, at);
      if (!to) return;
      event.preventDefault();
      event.stopPropagation();
      choose(...to);
      cells[to[0]][to[1]].element.focus({ preventScroll: true });
    },
    signal,
  );
  function step(key: string, [row, column]: [number, number]): [number, number] | null {
    const [rows, columns] = [cells.length, found.methods().length];
    const within = (index: number, count: number) => Math.max(0, Math.min(count - 1, index));
    if (key === "Home") return [row, 0];
    if (key === "End") return [row, columns - 1];
    if (!isArrow(key)) return null;
    const down = Number(key === "ArrowDown") - Number(key === "ArrowUp");
    const right = Number(key === "ArrowRight") - Number(key === "ArrowLeft");
    return [within(row + down, rows), within(column + right, columns)];
  }

  function cellOf(row: number, column: number): Cell {
    const said = found.rows()[row].maps[column];
    const method = found.method(column);
    const none = found.map(row, column) === null;
    const photo = found.photo(row);
    const aspect = photo ? photo.width / photo.height : 1;
    const canvas = el("canvas", "", { "aria-hidden": "true" });
    const mark = el("span", "vw-map-mark", { hidden: true });
    const number = el("b", "vw-number");
    const area = typeof said?.area === "number" ? `area ${two(said.area)}` : "";
    const reason = said?.note || found.rows()[row].note || "no map";
    const [over, under] = none
      ? [[el("span", "vw-map-reason", { title: reason }, reason)], []]
      : [
          [mark],
          [
            el("span", "vw-ellipsis vw-muted", { title: said?.target }, said?.target ?? ""),
            ...(area ? [el("span", "", {}, area)] : []),
            number,
          ],
        ];
    const frame = el("div", "vw-map-frame", {}, canvas, ...over);
    frame.style.setProperty("--vw-aspect", String(aspect));
    const words = none ? reason : [said?.target, area].filter(Boolean).join(", ");
    const label = `${method}, ${found.name(row)}: ${words}`;
    const element = el(
      "div",
      "vw-map-cell",
      { role: "gridcell", "data-map": `${row},${column}`, "data-state": none ? "none" : "made" },
      frame,
      ...under,
    );
    return { element, canvas, mark, number, label };
  }
  /** `below` counts the lines at the foot under this one: they stay in sight. */
  function foot(label: string, means: readonly Mean[], most: number, below: number): HTMLElement {
    const parts = [
      el("span", "vw-map-row vw-small vw-ellipsis", { role: "rowheader", title: label }, label),
      ...means.map((mean) => {
        const of = mean[0] !== null && mean[3] < most ? ` (of ${mean[3]})` : "";
        return el("span", "vw-number vw-small", { role: "gridcell" }, meanWords(mean) + of);
      }),
    ];
    // what is the same for all methods stands once
    if (means.length === 1) parts[1].style.gridColumn = "2 / -1";
    for (const part of parts) {
      part.classList.add("vw-map-foot");
      part.style.setProperty("--vw-below", String(below));
    }
    return line(...parts);
  }
  function build(): void {
    sight.disconnect();
    const [rows, methods] = [found.rows(), found.methods()];
    const aspects = rows.map((_, row) => {
      const photo = found.photo(row);
      return photo ? photo.width / photo.height : 1;
    });
    // a strip of frames is wider than a picture
    width = Math.round(Math.max(LEAST, Math.min(MOST, USUAL * Math.sqrt(Math.max(1, ...aspects)))));
    element.style.setProperty("--vw-methods", String(methods.length));
    element.style.setProperty("--vw-cell", `${width}px`);
    cells = rows.map((row, at) => row.maps.map((_, column) => cellOf(at, column)));
    const models = store.get("compare_models");
    element.replaceChildren(
      line(
        el("span", "vw-map-corner", { role: "columnheader", "aria-label": "picture" }),
        ...methods.map((_, column) => {
          const name = found.method(column);
          return el("b", "vw-map-column vw-small", { role: "columnheader", title: name }, name);
        }),
      ),
      ...rows.map((_, row) =>
        line(
          el("span", "vw-map-row vw-small", { role: "rowheader" }, found.name(row)),
          ...cells[row].map(({ element }) => element),
        ),
      ),
      ...store.get("compare_means").flatMap(({ model, means, random }, at, all) => {
        const most = Math.max(0, ...means.map((mean) => mean[3]));
        const below = 2 * (all.length - 1 - at);
        const names =
          models[model] === undefined
            ? ["mean area", "random map"]
            : [`mean, ${models[model]}`, `random, ${models[model]}`];
        return [foot(names[0], means, most, below + 1), foot(names[1], [random], 0, below)];
      }),
    );
    paint();
    select();
    marks();
  }
  function paint(): void {
    sight.disconnect();
    cells.forEach((line, row) => {
      line.forEach(({ element, canvas }, column) => {
        painted.set(element, () => paintCell(canvas, row, column));
        sight.observe(element);
      });
    });
  }
  function paintCell(canvas: HTMLCanvasElement, row: number, column: number): void {
    const scene = sceneOfMap(view, found, row, column);
    const aspect = scene.photo ? scene.photo.width / scene.photo.height : 1;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.max(1, Math.round((width * ratio) / aspect));
    const box = { x: 0, y: 0, width: canvas.width, height: canvas.height };
    paintOverlay(context2d(canvas), box, ratio, scene);
    const target = canvas.closest("[data-map]");
    if (!target) return;
    attribute(target, { "data-painted": true });
    painted.delete(target);
    sight.unobserve(target);
  }
  function select(): void {
    const [row, column] = [found.row(), found.column()];
    const stop = cells[row]?.[column] ?? cells[0]?.[0];
    cells.forEach((line, r) => {
      line.forEach((cell, c) => {
        attribute(cell.element, {
          "aria-selected": String(r === row && c === column),
          tabindex: cell === stop ? 0 : -1,
        });
      });
    });
    if (cells[row]?.[column]) reveal(element, cells[row][column].element);
  }
  /** The same place in every map of the picture, and its number under each. */
  function marks(): void {
    const [at, on] = [place(), found.tokens()?.asked];
    const image = found.rows()[found.row()]?.image_index;
    cells.forEach((line, row) => {
      const mine = found.rows()[row]?.image_index === image;
      line.forEach(({ element, mark, number, label }, column) => {
        const map = mine && at && on ? found.map(row, column) : null;
        const there = map && at && on ? holding(at, on, map.patches) : null;
        mark.hidden = !there;
        const value = map && there ? numberWords(numberAt(map, there)) : "";
        setText(number, value);
        attribute(element, { "aria-label": value ? `${label}, here ${value}` : label });
        if (!map || !there) return;
        const { x, y, width, height } = boxOf(there, map.patches, WHOLE);
        Object.assign(mark.style, {
          left: `${100 * x}%`,
          top: `${100 * y}%`,
          width: `${100 * width}%`,
          height: `${100 * height}%`,
        });
      });
    });
  }
  view.paintOn(
    [
      ...(["compare_rows", "compare_methods", "compare_words", "compare_models"] as const),
      ...(["compare_means", "image_names"] as const),
    ],
    build,
  );
  view.paintOn(["colormap", "opacity", "drawing", "compare_scale"], paint);
  view.paintOn(["image_index", "compare_model", "attribution_method"], select);
  view.paintOn(["query", "image_index", "compare_model", "attribution_method"], marks);
  return () => view.paint(marks);
}

function line(...parts: HTMLElement[]): HTMLElement {
  return el("div", "vw-map-line", { role: "row" }, ...parts);
}

function placeOf(target: EventTarget | null): [number, number] | null {
  const item = target instanceof Element ? target.closest("[data-map]") : null;
  if (!item) return null;
  const [row, column] = String(item.getAttribute("data-map")).split(",").map(Number);
  return [row, column];
}

/** Scrolls the grid, never the notebook, until an element is clear of the names beside it. */
function reveal(grid: HTMLElement, item: HTMLElement): void {
  const head = grid.querySelector<HTMLElement>(".vw-map-corner");
  const [above, beside] = [head?.offsetHeight ?? 0, head?.offsetWidth ?? 0];
  const { offsetTop: top, offsetLeft: left, offsetWidth: wide, offsetHeight: high } = item;
  if (top - above < grid.scrollTop) grid.scrollTop = top - above;
  else if (top + high > grid.scrollTop + grid.clientHeight)
    grid.scrollTop = top + high - grid.clientHeight;
  if (left - beside < grid.scrollLeft) grid.scrollLeft = left - beside;
  else if (left + wide > grid.scrollLeft + grid.clientWidth)
    grid.scrollLeft = left + wide - grid.clientWidth;
}
