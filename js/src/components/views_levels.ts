// Token × level: what the token that is asked about and those that are pinned see, side by side.
import { tokenLabel, tokenName } from "../lib/format";
import { pinLetter } from "../lib/selection";
import type { TokenViewsState } from "../lib/state";
import { tokensOf } from "../lib/token_layer";
import { levelsShown } from "../lib/views";
import type { Views } from "../lib/views_data";
import { scaleOf } from "../lib/views_field";
import { attribute, el, listen, setText } from "./dom";
import type { View } from "./view";
import { type FieldCanvas, fieldCanvas } from "./views_canvas";

interface Cell {
  button: HTMLButtonElement;
  canvas: FieldCanvas;
}

export function drawViewsLevels(
  element: HTMLElement,
  view: View<TokenViewsState>,
  views: Views,
): () => void {
  const { store, signal } = view;
  const grid = el("div", "vw-levels", { role: "group", "aria-label": "token by level" });
  element.append(grid);
  let cells: Cell[] = [];
  let names: HTMLElement[] = [];
  let made = "";

  listen(
    grid,
    "click",
    (event) => {
      const cell = event.target instanceof Element ? event.target.closest("[data-level]") : null;
      if (!cell) return;
      const level = Number(cell.getAttribute("data-level"));
      const query = Number(cell.getAttribute("data-token"));
      store.update(level > 0 ? { query, layer: level - 1 } : { query });
    },
    signal,
  );

  function build(rows: number, levels: readonly number[]): void {
    const wanted = `${rows} ${levels}`;
    if (made === wanted) return;
    made = wanted;
    grid.style.setProperty("--vw-count", String(levels.length));
    cells = [];
    names = [];
    grid.replaceChildren(
      el("span"),
      ...levels.map((level) => el("span", "vw-level-head vw-muted", {}, `level ${level}`)),
    );
    for (let row = 0; row < rows; row++) {
      const name = el("span", "vw-level-token vw-ellipsis");
      names.push(name);
      grid.append(name);
      for (const _ of levels) {
        const canvas = fieldCanvas("vw-view-canvas");
        const button = el("button", "vw-level", { type: "button" }, canvas.element);
        cells.push({ button, canvas });
        grid.append(button);
      }
    }
  }

  return function draw(): void {
    const filter = store.get("views_filter");
    const field = views.field(filter);
    const levels = levelsShown(views.layers());
    const tokens = tokensOf(store);
    const query = store.get("query");
    const asked = [...new Set([query, ...store.get("pins")])];
    element.hidden = views.layers() === 0 || views.refused();
    // what was drawn stays, dimmed, until its successor comes
    attribute(grid, { "data-stale": !field || !views.current() });
    if (!field || element.hidden || !views.current()) return;
    build(asked.length, levels);
    const shared = store.get("views_scale") === "shared" ? scaleOf(field, null) : null;
    asked.forEach((token, row) => {
      const pin = store.get("pins").indexOf(token);
      setText(names[row], `${pin < 0 ? "" : `${pinLetter(pin)} `}${tokenLabel(token, tokens)}`);
      attribute(names[row], { title: names[row].textContent });
      levels.forEach((level, column) => {
        const { button, canvas } = cells[row * levels.length + column];
        const weights = views.weights(token, level, filter);
        const seen = weights !== null && weights.maximum > 0;
        attribute(button, {
          "data-level": level,
          "data-token": token,
          "data-empty": !seen,
          "aria-label": `${tokenName(token, tokens)}, level ${level}`,
          "aria-current": token === query && level === store.get("layer") + 1 ? "true" : null,
          title: seen ? null : weights ? "no patch, so no view at level 0" : "on its way",
        });
        canvas.element.hidden = !seen;
        if (!seen) return;
        canvas.paint(field, weights.values, shared ?? scaleOf(field, weights.values));
      });
    });
  };
}
