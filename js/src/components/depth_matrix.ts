// How alike all pairs of blocks are: rows and columns are blocks, a cell chooses its row as the
// layer in view and marks its column beside it.
import { colormapFor, colourAt } from "../lib/colormap";
import { clampIndex } from "../lib/geometry";
import { isArrow } from "../lib/keyboard";
import type { TokenDepthState } from "../lib/state";
import { isPacked, unpack } from "../lib/wire";
import type { DepthModel } from "./depth_model";
import { DEPTH_KEYS } from "./depth_model";
import { attribute, context2d, el, listen, onResize, setText, sizeCanvas } from "./dom";
import { AMBER, UNSEEN, type View } from "./view";

export function drawDepthMatrix(
  element: HTMLElement,
  view: View<TokenDepthState>,
  model: DepthModel,
): void {
  const { store, signal } = view;
  const canvas = el("canvas", "vw-depth-cells", { "aria-hidden": "true" });
  const frame = el(
    "div",
    "vw-depth-matrix",
    { tabindex: 0, role: "application", "aria-roledescription": "matrix of layers" },
    canvas,
  );
  const said = el("p", "vw-number vw-small");
  const about = el("p", "vw-note", { role: "status" });
  element.classList.add("vw-depth-alike");
  element.append(frame, el("div", "vw-depth-matrix-words", {}, said, about));

  function read(): { count: number; at(row: number, col: number): number } | null {
    const packed = model.cka()?.values;
    if (!packed || !isPacked(packed)) return null;
    const { codes, shape } = unpack(packed);
    return { count: shape[0], at: (row, col) => codes[row * shape[1] + col] };
  }
  const beside = () => store.get("depth_beside") ?? model.at();
  function choose(row: number, col: number): void {
    store.set("depth_beside", col);
    model.show(row);
  }
  listen(
    frame,
    "click",
    (event) => {
      const [cells, box] = [read(), canvas.getBoundingClientRect()];
      if (!cells || box.width === 0) return;
      const on = (part: number) => clampIndex(Math.floor(part * cells.count), cells.count);
      choose(
        on((event.clientY - box.top) / box.height),
        on((event.clientX - box.left) / box.width),
      );
    },
    signal,
  );
  listen(
    frame,
    "keydown",
    (event) => {
      const cells = read();
      if (!cells || !isArrow(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      const by = event.key === "ArrowLeft" || event.key === "ArrowUp" ? -1 : 1;
      const down = event.key === "ArrowUp" || event.key === "ArrowDown";
      choose(
        clampIndex(model.at() + (down ? by : 0), cells.count),
        clampIndex(beside() + (down ? 0 : by), cells.count),
      );
    },
    signal,
  );

  function draw(): void {
    const cells = read();
    const found = model.cka();
    frame.hidden = cells === null;
    setText(about, found?.note ?? "");
    about.hidden = !found?.note;
    if (!cells || !found) {
      setText(said, found?.note ? "" : "on its way");
      return;
    }
    const [row, col] = [model.at(), clampIndex(beside(), cells.count)];
    const value = cells.at(row, col);
    const number = Number.isNaN(value) ? "–" : (value ?? Number.NaN).toFixed(3);
    const words = `blocks ${row} and ${col}: ${number}`;
    setText(said, row >= 0 ? words : "");
    setText(
      about,
      `CKA of ${found.samples} patches, 0 to 1; few patches look alike whatever they are. Rows ` +
        "and columns are blocks, the first at the top left.",
    );
    about.hidden = false;
    attribute(frame, { "aria-label": `how alike layers are, ${words}: arrows move` });
    if (!sizeCanvas(canvas, size.width, size.width)) return;
    const context = context2d(canvas);
    const step = canvas.width / cells.count;
    const edge = (cell: number) => Math.round(cell * step);
    const table = colormapFor({ signed: false }, store.get("colormap"));
    for (let r = 0; r < cells.count; r++)
      for (let c = 0; c < cells.count; c++) {
        const one = cells.at(r, c);
        context.fillStyle = Number.isNaN(one) ? UNSEEN : colourAt(table, one);
        context.fillRect(edge(c), edge(r), edge(c + 1) - edge(c), edge(r + 1) - edge(r));
      }
    if (row < 0) return;
    const ratio = canvas.width / size.width;
    const stroke = (colour: string, width: number, rect: [number, number, number, number]) => {
      context.strokeStyle = colour;
      context.lineWidth = width * ratio;
      context.strokeRect(...rect);
    };
    const whole = edge(cells.count);
    const band: [number, number, number, number] = [0, edge(row), whole, edge(row + 1) - edge(row)];
    stroke("#ffffffb3", 1, band);
    stroke("#ffffffb3", 1, [edge(col), 0, edge(col + 1) - edge(col), whole]);
    const cell: [number, number, number, number] = [edge(col), edge(row), step, step];
    stroke("#0b0d1199", 4, cell);
    stroke(AMBER, 2, cell);
  }
  const size = onResize(frame, () => view.paint(draw), signal);
  view.paintOn([...DEPTH_KEYS, "depth_cka", "colormap"], draw);
}
