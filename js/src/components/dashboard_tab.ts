// Heads: what they do and which matter. The picture with what the chosen ones attend to, all heads
// as a matrix and against each other, what they are worth, and which look alike.
import { colormapFor, gradient, type Rgb } from "../lib/colormap";
import {
  ABOUT,
  type Comparable,
  type HeadNumber,
  IMPORTANCE,
  layerColour,
  pointsOf,
  rangeOf,
  STATISTICS,
} from "../lib/dashboard";
import { weightHeat } from "../lib/depth";
import { weight } from "../lib/format";
import { placeIn } from "../lib/geometry";
import { type RawAxis, readAxis } from "../lib/packet";
import type { HeadDashboardState } from "../lib/state";
import { current, tokensOf } from "../lib/token_layer";
import { objectPixels, objectsOf } from "../lib/token_mask";
import { isPacked, unpack } from "../lib/wire";
import { drawDashboardCurve } from "./dashboard_curve";
import { drawDashboardHops } from "./dashboard_hops";
import { drawDashboardImportance } from "./dashboard_importance";
import { drawDashboardMatrix } from "./dashboard_matrix";
import { DASHBOARD_KEYS, dashboardModel } from "./dashboard_model";
import { drawDashboardPatterns } from "./dashboard_patterns";
import { drawDashboardPlane } from "./dashboard_plane";
import { attribute, el, listen, setText } from "./dom";
import { saveCanvas } from "./download";
import { drawImageStrip } from "./image_strip";
import type { OpenTab } from "./inspector";
import { drawMaskBrush } from "./mask_brush";
import { menu } from "./menu";
import type { OverlayScene } from "./overlay_painter";
import { drawPatchStage } from "./patch_stage";
import { segmented } from "./segmented";
import { drawTokenChips } from "./token_chips";
import { drawTokenFrame } from "./token_tab";
import type { View } from "./view";

const COMPARABLE: readonly Comparable[] = [...STATISTICS, ...IMPORTANCE];
const choices = <T extends HeadNumber>(numbers: readonly T[]) =>
  numbers.map((value) => ({ value, text: ABOUT[value].text }));

export function drawDashboardTab(
  element: HTMLElement,
  view: View<HeadDashboardState>,
  leave: () => boolean,
): OpenTab {
  const { store, signal } = view;
  const model = dashboardModel(view);
  const [look, brushes, chips, images] = Array.from({ length: 4 }, () => el("div"));
  const [matrix, plane, hops] = [el("div"), el("div"), el("div")];
  const [importance, curve, patterns] = [el("div"), el("div"), el("div")];
  const over = el("p", "vw-note");
  const [says, reason] = [el("p", "vw-note"), el("p", "vw-note", { role: "status" })];
  const legend = el("div", "vw-legend");
  const [least, ramp, most] = [el("span"), el("span", "vw-legend-bar"), el("span")];
  legend.append(least, ramp, most);
  const picked = el("span", "vw-muted vw-number", { role: "status" });
  const clear = el("button", "vw-chip", { type: "button" }, "clear");
  const [xs, ys, axes] = [el("span"), el("span"), el("p", "vw-note vw-dash-words")];
  listen(clear, "click", () => model.select([], false), signal);

  const section = (title: string, tools: HTMLElement[], ...parts: HTMLElement[]) =>
    el(
      "section",
      "vw-section",
      {},
      el(
        "div",
        "vw-bar vw-bar-wrap",
        {},
        el("span", "vw-title", {}, title),
        el("div", "vw-tools", {}, ...tools),
      ),
      ...parts,
    );
  element.append(
    el(
      "div",
      "vw-columns vw-dashboard",
      {},
      el(
        "div",
        "vw-column vw-column-look",
        {},
        look,
        over,
        brushes,
        chips,
        images,
        section("How far they look, hop by hop", [], hops),
      ),
      el(
        "div",
        "vw-column vw-column-compare",
        {},
        section(
          "Heads",
          [
            segmented(view, "heads_over", "over which images", [
              { value: "this image", text: "this image" },
              { value: "all images", text: "all images" },
            ]),
            menu(
              view,
              "heads_number",
              "what colours the heads",
              choices([...COMPARABLE, "pattern"]),
            ),
          ],
          matrix,
          el(
            "div",
            "vw-bar vw-bar-wrap vw-dash-under",
            {},
            legend,
            el("div", "vw-tools", {}, picked, clear),
          ),
          says,
          reason,
        ),
        section(
          "Two numbers",
          [
            menu(view, "heads_up", "number on the vertical axis", choices(COMPARABLE)),
            el("span", "vw-muted", {}, "against"),
            menu(view, "heads_across", "number on the horizontal axis", choices(COMPARABLE)),
          ],
          el("div", "vw-row vw-small vw-muted", {}, ys),
          plane,
          el("div", "vw-row vw-small vw-muted", {}, xs),
          axes,
        ),
      ),
      el(
        "div",
        "vw-column vw-column-numbers",
        {},
        section("Which matter", [], importance),
        section("Without them", [], curve),
        section("Which look alike", [], patterns),
      ),
    ),
  );

  // -- the picture -----------------------------------------------------------------------------
  /** What the heads of the layer that are chosen together attend to, their mean. */
  function attended() {
    const found = model.map();
    if (!found || !isPacked(found.values) || !("grid" in found.axis)) return null;
    const { codes, shape } = unpack(found.values);
    const [count, rows, cols] = shape;
    const head = Math.min(store.get("head"), count - 1);
    const several = store.get("heads").filter((one) => one < count);
    const heads = several.includes(head) ? several : [head];
    const values = new Float32Array(rows * cols);
    for (const one of heads)
      for (let i = 0; i < values.length; i++)
        values[i] += codes[one * values.length + i] / heads.length;
    return { values, rows, cols, heads, axis: readAxis(found.axis as RawAxis) };
  }
  function overPicture(): Partial<OverlayScene> {
    const tokens = tokensOf(store);
    if (brush.inHand.get() !== null && tokens) {
      const { rows, cols } = tokens.reference;
      const rgba = objectPixels(objectsOf(store, tokens.reference));
      const cells = new ImageData(cols, rows);
      cells.data.set(rgba);
      return { cells, map: tokens.reference };
    }
    const found = attended();
    if (!found) return {};
    return { heat: weightHeat(found.values, found.rows, found.cols), map: found.axis };
  }
  const stage = drawPatchStage(look, view, {
    label: () => `attention of layer ${store.get("layer")}, head ${store.get("head")}`,
    over: overPicture,
  });
  const brush = drawMaskBrush(brushes, view, stage.element);
  drawTokenChips(
    chips,
    view,
    () => tokensOf(store),
    (paint) => view.paintOn(["token_layer"], paint),
  );
  drawImageStrip(images, view);
  drawDashboardMatrix(matrix, view, model);
  drawDashboardHops(hops, view, model);
  drawDashboardImportance(importance, view, model);
  drawDashboardCurve(curve, view, model);
  drawDashboardPatterns(patterns, view, model);

  function compared() {
    const [across, up] = [model.grid(store.get("heads_across")), model.grid(store.get("heads_up"))];
    const points = across && up && pointsOf(across, up);
    return points && points.heads.length > 0 ? points : null;
  }
  const layers = () => model.grid("entropy")?.layers ?? store.get("layer_labels").length;
  drawDashboardPlane(plane, view, model, {
    points: compared,
    colour: ([layer]): Rgb => layerColour(layer, layers()),
    label: () =>
      `${ABOUT[store.get("heads_up")].text} against ${ABOUT[store.get("heads_across")].text}`,
    square: false,
  });

  // -- words -----------------------------------------------------------------------------------
  function say(): string {
    const [layer, head] = model.pointed.get() ?? model.current();
    const number = store.get("heads_number");
    const value = model.grid(number)?.at(layer, head) ?? Number.NaN;
    const of = `layer ${layer}, head ${head}: ${ABOUT[number].text} ${ABOUT[number].words(value)}`;
    const [tokens, now] = [tokensOf(store), attended()];
    const place = stage.pointed.get() ?? (tokens && placeIn(store.get("query"), tokens));
    if (!stage.pointed.get() || !place || !now) return of;
    const on = now.values[place.row * now.cols + place.col];
    return `patch (${place.row}, ${place.col}): weight ${weight(on)}`;
  }
  function clearSelected(): boolean {
    if (store.get("heads_selected").length === 0) return false;
    model.select([], false);
    return true;
  }
  function step(by: number): boolean {
    const [layer, head] = model.current();
    const grid = model.grid("entropy");
    if (!grid) return false;
    const next = head + by;
    if (next >= 0 && next < grid.heads && !Number.isNaN(grid.at(layer, next)))
      model.show([layer, next]);
    return true;
  }
  const drawSaid = drawTokenFrame(
    element,
    view,
    {
      say,
      keys: [
        ["← →", "head"],
        ["drag", "select heads: a rectangle of the matrix, a lasso around points; Shift adds"],
        ["Shift + click, Enter", "select one more head, or one less"],
        ["Esc", "clear what is selected"],
      ],
      press(key, control) {
        if (control) return false;
        if (key === "ArrowLeft") return step(-1);
        if (key === "ArrowRight") return step(1);
        return false;
      },
    },
    () => brush.putDown() || clearSelected() || leave(),
  );

  function draw(): void {
    const number = store.get("heads_number");
    const [grid, about] = [model.grid(number), ABOUT[number]];
    const range = grid && rangeOf(grid, number);
    legend.hidden = !range || number === "pattern";
    if (range) {
      ramp.style.background = gradient(colormapFor(about, store.get("colormap")));
      setText(least, about.words(range.low));
      setText(most, about.words(range.high));
    }
    setText(says, about.says);
    const statistics = model.statistics();
    const images =
      statistics && statistics.done < statistics.total
        ? `${statistics.done} of ${statistics.total} images so far`
        : "";
    setText(reason, [model.reason(number), images].filter(Boolean).join(" · "));
    reason.hidden = reason.textContent === "";
    const count = store.get("heads_selected").length;
    setText(picked, count ? `${count} selected` : "");
    clear.hidden = count === 0;
    const [across, up] = [store.get("heads_across"), store.get("heads_up")];
    const points = compared();
    const lacks = [up, across].map((one) => model.reason(one)).find((one) => one !== "");
    setText(
      axes,
      points
        ? "Dark points are of the first layers, light ones of the last."
        : (lacks ?? "On its way."),
    );
    plane.hidden = !points;
    const ends = (one: Comparable, { low, high }: { low: number; high: number }) =>
      `${ABOUT[one].words(low)} to ${ABOUT[one].words(high)}`;
    setText(ys, points ? `↑ ${ABOUT[up].text}, ${ends(up, points.ys)}` : "");
    setText(xs, points ? `→ ${ABOUT[across].text}, ${ends(across, points.xs)}` : "");
    const shown = attended();
    const heads =
      shown && shown.heads.length > 1
        ? `heads ${shown.heads.join(", ")}, their mean`
        : `head ${store.get("head")}`;
    const note = model.map()?.note || current(store)?.note;
    setText(
      over,
      note || `What the token asked about attends to: layer ${store.get("layer")}, ${heads}.`,
    );
    attribute(element, {
      "data-answer": grid ? "current" : "stale",
      "data-running": store.get("heads_running"),
      "data-selected": count,
    });
    stage.repaint();
    drawSaid();
  }
  view.paintOn(
    [
      ...DASHBOARD_KEYS,
      ...(["query", "heads", "heads_map", "heads_across", "heads_up", "token_mask"] as const),
      ...(["token_layer", "heads_running"] as const),
    ],
    draw,
  );
  stage.pointed.on(drawSaid);
  model.pointed.on(drawSaid);
  brush.inHand.on(() => view.paint(draw));

  return {
    drawn() {
      if (!current(store) || !model.map() || !model.statistics()) return "";
      const [layer, head] = model.current();
      return [store.get("image_index"), layer, head, store.get("heads_number")].join(":");
    },
    problem: () => "",
    async savePng() {
      const canvas = matrix.querySelector("canvas");
      if (!canvas) throw new Error("there is no matrix to save");
      await saveCanvas(canvas, `heads-${store.get("heads_number")}.png`);
    },
  };
}
