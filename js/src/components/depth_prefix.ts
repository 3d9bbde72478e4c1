// What the class token and the registers attend to: one small map each, the mean over heads.
import { colormapFor, pixelTable } from "../lib/colormap";
import { leaveOut, weightHeat } from "../lib/depth";
import { percent } from "../lib/format";
import type { TokenDepthState } from "../lib/state";
import { tokensOf } from "../lib/token_layer";
import { isPacked, unpack } from "../lib/wire";
import type { DepthModel } from "./depth_model";
import { DEPTH_KEYS } from "./depth_model";
import { attribute, el, listen, setText } from "./dom";
import { paintCells } from "./pixels";
import type { View } from "./view";

export function drawDepthPrefix(
  element: HTMLElement,
  view: View<TokenDepthState>,
  model: DepthModel,
): void {
  const { store, signal } = view;
  const maps = el("div", "vw-depth-maps", { role: "group", "aria-label": "prefix tokens" });
  const note = el("p", "vw-note", { role: "status" });
  element.append(maps, note);

  listen(
    maps,
    "click",
    (event) => {
      const one = event.target instanceof Element ? event.target.closest("[data-name]") : null;
      const names = tokensOf(store)?.reference.names ?? [];
      const token = names.indexOf(one?.getAttribute("data-name") ?? "");
      if (token >= 0) store.update({ query: token, depth_view: "attention" });
    },
    signal,
  );

  function draw(): void {
    const found = model.prefix();
    setText(note, found?.note ?? "");
    note.hidden = !found?.note;
    maps.hidden = !found || !isPacked(found.values);
    if (!found || !isPacked(found.values)) return;
    const { codes, shape } = unpack(found.values);
    const [, rows, cols] = shape;
    const cells = rows * cols;
    const table = pixelTable(colormapFor({ signed: false }, store.get("colormap")));
    const names = tokensOf(store)?.reference.names ?? [];
    maps.replaceChildren(
      ...found.names.map((name, i) => {
        const values = codes.subarray(i * cells, (i + 1) * cells);
        const [set, prefix] = [model.leftOut(cells), found.prefix[i]];
        const shown = set && prefix !== null ? leaveOut(values, set, prefix) : values;
        const canvas = el("canvas", "vw-cells");
        paintCells(canvas, weightHeat(shown, rows, cols), table);
        canvas.style.aspectRatio = `${cols} / ${rows}`;
        const share = prefix === null ? "" : `${percent(1 - prefix)} on patches`;
        const button = el(
          "button",
          "vw-depth-map",
          { type: "button", "data-name": name, title: `${name}: ${share}` },
          canvas,
          el("span", "vw-small", {}, name),
          el("span", "vw-small vw-muted vw-number", {}, share),
        );
        const chosen = names.indexOf(name) === store.get("query");
        attribute(button, {
          "aria-pressed": String(chosen && store.get("depth_view") === "attention"),
          "aria-label": `attention of the ${name} token, ${share}`,
        });
        return button;
      }),
    );
  }
  view.paintOn([...DEPTH_KEYS, "depth_prefix", "depth_view", "query", "colormap"], draw);
}
