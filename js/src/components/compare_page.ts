// Methods beside each other, and models: small maps, one of them large, and a place to compare.
import { largestOf, numberAt } from "../lib/comparison";
import { clampIndex } from "../lib/geometry";
import type { CompareMapsState } from "../lib/state";
import { announcer } from "./announce";
import { comparisonOf, numberWords, ruleWords } from "./compare_model";
import { saveSheet } from "./compare_sheet";
import { drawCompareStage } from "./compare_stage";
import { attribute, el, setNote, setText } from "./dom";
import { drawHeader } from "./header";
import { keyHints, keyList, onKeys } from "./keys";
import { drawMapGrid } from "./map_grid";
import { drawImageControls } from "./overlay_controls";
import { segmented } from "./segmented";
import { drawBlank, drawNotice } from "./status";
import type { View } from "./view";

const KEYS: readonly [string, string][] = [
  ["arrows in the table", "the map that is shown large"],
  ["arrows on the image", "the patch that is compared"],
  ["← →", "method"],
  ["↑ ↓", "row: picture, and model"],
  ["[ ]", "picture"],
  ["?", "this list"],
];

export function drawComparePage(view: View<CompareMapsState>): void {
  const { root, store, signal } = view;
  const found = comparisonOf(view);
  const [header, notice, blank, look, controls, grid] = Array.from({ length: 6 }, () => el("div"));
  const [caption, note, rule, measure] = [el("p"), el("p"), el("p"), el("p")];
  for (const one of [caption, note, rule, measure]) one.className = "vw-note";
  attribute(note, { role: "status" });
  const scale = segmented(view, "compare_scale", "against what maps are drawn", [
    { value: "per map", text: "each map by itself" },
    { value: "per method", text: "all maps of a method alike" },
  ]);
  const bar = el("div", "vw-bar", {}, el("span", "vw-title", {}, "Maps"), scale);
  const page = el(
    "div",
    "vw-columns vw-compare",
    {},
    el("div", "vw-column", {}, look, caption, note, controls),
    el("div", "vw-column", {}, bar, rule, grid, measure),
  );
  const list = keyList(KEYS);
  const footer = el("footer", "vw-footer");
  root.classList.add("vw-inspector");
  root.append(header, notice, blank, page, list.element, footer);
  const { leave } = drawHeader(header, view, () => saveSheet(view, found));
  drawNotice(notice, view);
  const nothing = () => store.get("compare_rows").length === 0;
  view.paintOn(
    ["compare_rows"],
    drawBlank(blank, view, page, nothing, "vw.compare(model, images)"),
  );

  const stage = drawCompareStage(look, view, found);
  drawImageControls(controls, view);
  const drawMarks = drawMapGrid(grid, view, found, stage.place);
  const drawSaid = drawFooter();
  stage.pointed.on(() => {
    drawMarks();
    view.paint(drawSaid);
  });

  function drawFooter(): () => void {
    const [of, where, value] = [el("b"), el("b"), el("b", "vw-number")];
    const word = (text: string) => el("span", "vw-muted", {}, text);
    const spoken = announcer(signal);
    const readout = el(
      "div",
      "vw-readout",
      {},
      el("span", "", {}, word("map "), of),
      el("span", "", {}, where),
      el("span", "vw-readout-value", {}, value),
      spoken.element,
    );
    footer.append(readout, ...keyHints([KEYS[2], KEYS[3], KEYS[4]], list.toggle, signal));
    return () => {
      const [row, column, place] = [found.row(), found.column(), stage.place()];
      const [map, on] = [found.map(row, column), found.tokens()?.asked];
      const known = found.rows()[row] && "grid" in found.rows()[row].axis;
      setText(of, `${found.method(column)}, ${found.name(row)}`);
      const patch = known ? "patch" : "place"; // squares of pixels are no patches
      setText(where, place && on ? `${patch} (${place.row}, ${place.col})` : "");
      const mean = map?.finer ? "mean of its pixels " : "";
      setText(value, map && place ? mean + numberWords(numberAt(map, place)) : "");
      spoken.say([of, where, value].map((part) => part.textContent).join(", "));
    };
  }

  function draw(): void {
    const [row, column, said] = [found.row(), found.column(), found.said()];
    const map = found.map(row, column);
    const method = found.method(column);
    const { most } = found.scale(column);
    const alike = store.get("compare_scale") === "per method";
    const highest = map && numberWords(alike ? most : largestOf(map));
    setText(
      caption,
      map
        ? [
            `${method} · ${found.name(row)} · ${said?.target || "no target named"}`,
            `highest colour ${highest}${alike ? `, the largest of all maps of ${method}` : ""}`,
          ].join(" · ")
        : "",
    );
    const missing =
      column < 0
        ? `There is no ${store.get("attribution_method")} among these methods.`
        : row < 0
          ? `There is no picture ${store.get("image_index")} among these.`
          : "";
    const why =
      said && !map ? `No map: ${said.note || found.rows()[row].note || "none given"}` : "";
    setNote(note, missing || why || said?.note || "");
    setText(rule, ruleWords(view, found));
    const pictures = Math.max(
      0,
      ...store.get("compare_means").flatMap(({ means }) => means.map((mean) => mean[3])),
    );
    setNote(
      measure,
      pictures > 0
        ? `Area: between the curves of the score when the lowest and when the highest patches are replaced first; higher is more faithful. Means of ${pictures} ${pictures === 1 ? "picture" : "pictures, and where 95 % of the means lie when these are drawn anew"}; the random map is another one for each.`
        : "",
    );
    drawSaid();
  }
  view.paintOn(
    [
      ...(["compare_rows", "compare_methods", "compare_words", "compare_models"] as const),
      ...(["compare_means", "compare_scale", "image_names", "query"] as const),
      ...(["image_index", "compare_model", "attribution_method"] as const),
    ],
    draw,
  );

  function step(rows: number, columns: number): boolean {
    const one = found.rows()[clampIndex(found.row() + rows, found.rows().length)];
    const method = found.methods()[clampIndex(found.column() + columns, found.methods().length)];
    if (!one || method === undefined) return false;
    store.update({
      image_index: one.image_index,
      compare_model: one.model,
      attribution_method: method,
    });
    return true;
  }
  function picture(by: number): boolean {
    const count = store.get("image_names").length;
    if (count < 2) return false;
    store.set("image_index", clampIndex(store.get("image_index") + by, count));
    return true;
  }
  onKeys(view, (key, control) => {
    if (key === "?") return list.toggle();
    if (key === "Escape") return list.close() || leave();
    if (key === "[") return picture(-1);
    if (key === "]") return picture(1);
    if (control) return false; // sliders and choices have arrows of their own
    if (key === "ArrowLeft" || key === "ArrowRight") return step(0, key === "ArrowLeft" ? -1 : 1);
    if (key === "ArrowUp" || key === "ArrowDown") return step(key === "ArrowUp" ? -1 : 1, 0);
    return false;
  });
  view.drawn.set(() => {
    const [row, column] = [found.rows()[found.row()], found.column()];
    return row && column >= 0
      ? [row.image_index, row.model, found.methods()[column]].join(":")
      : "";
  });
}
