// The embedding: the picture, and beside it the tokens of the layer as points of a plane.
import { gradient } from "../lib/colormap";
import { activation, percent, plain, weight } from "../lib/format";
import {
  type Cloud,
  type Colours,
  cloudOf,
  coloursOf,
  patchColours,
  patchPoints,
  pointName,
  pointOfQuery,
  type ScatterColour,
  type ScatterMethod,
  type ScatterPoints,
  type ScatterValues,
} from "../lib/scatter";
import type { TokenScatterState } from "../lib/state";
import { local } from "../lib/store";
import { current, tokensOf } from "../lib/token_layer";
import { objectPixels, objectsOf, objectsOfLayer } from "../lib/token_mask";
import { isPacked, unpack } from "../lib/wire";
import { attribute, context2d, el, listen, setNote, setText } from "./dom";
import { saveCanvas } from "./download";
import type { OpenTab } from "./inspector";
import { drawMaskBrush } from "./mask_brush";
import { menu } from "./menu";
import { drawImageControls, slider } from "./overlay_controls";
import { type OverlayScene, paintOverlay } from "./overlay_painter";
import { drawPatchStage } from "./patch_stage";
import { rgbaPixels } from "./pixels";
import { bindPatchBrush } from "./scatter_brush";
import { paintPoints } from "./scatter_painter";
import { drawScatterPlot, type Tool } from "./scatter_plot";
import { segmented } from "./segmented";
import { drawTokenChoices, drawTokenFrame } from "./token_tab";
import type { View } from "./view";

const METHODS: readonly { value: ScatterMethod; text: string; title: string }[] = [
  { value: "pca", text: "PCA", title: "the plane of most variance: distances are true" },
  { value: "tsne", text: "t-SNE", title: "near tokens stay near, far ones mean little" },
  { value: "umap", text: "UMAP", title: "near tokens stay near, far ones mean little" },
];
const COLOURS: readonly { value: ScatterColour; text: string }[] = [
  { value: "position", text: "position" },
  { value: "norm", text: "norm" },
  { value: "cluster", text: "cluster (k-means)" },
  { value: "attention", text: "attention of the query" },
  { value: "object", text: "object" },
  { value: "image", text: "image" },
];

export function drawScatterTab(
  element: HTMLElement,
  view: View<TokenScatterState>,
  leave: () => boolean,
): OpenTab {
  const { store, signal } = view;
  const [look, objects, chips, images] = [el("div"), el("div"), el("div"), el("div")];
  const [layers, plane, controls] = [el("div"), el("div"), el("div")];
  const tool = local<Tool>("lasso");
  const choice = segmented(view, "scatter_method", "how tokens are laid out", METHODS);
  const span = segmented(view, "scatter_span", "whose tokens", [
    { value: "this image", text: "This image" },
    { value: "all images", text: "All images" },
  ]);
  const tools = el("button", "vw-chip", { type: "button" });
  const clear = el("button", "vw-chip", { type: "button" }, "clear");
  const chosen = el("span", "vw-muted vw-number", { role: "status" });
  const axes = el("p", "vw-note vw-number");
  const note = el("p", "vw-note", { role: "status" });
  const legend = el("div", "vw-scatter-legend");
  const many = slider(view, "scatter_k", { min: 2, max: 16, step: 1, label: "clusters" }, String);
  const colour = el(
    "div",
    "vw-control",
    {},
    el("span", "vw-muted", {}, "colour"),
    menu(view, "scatter_colour", "colour of the points", COLOURS),
  );
  const fill = el("span", "vw-progress-fill");
  const bar = el("span", "vw-progress-bar", { role: "progressbar", "aria-label": "t-SNE" }, fill);
  const steps = el("span", "vw-progress-text vw-number");
  const go = el("button", "vw-button", { type: "button" });
  const progress = el("div", "vw-progress vw-scatter-progress", {}, bar, steps, go);
  const answer = el(
    "section",
    "vw-section",
    {},
    el(
      "div",
      "vw-bar vw-bar-wrap",
      {},
      el("span", "vw-title", {}, "Tokens on a plane"),
      el("div", "vw-tools", {}, span, choice),
    ),
    plane,
    el(
      "div",
      "vw-bar vw-bar-wrap vw-scatter-under",
      {},
      axes,
      el("div", "vw-tools", {}, chosen, clear, tools),
    ),
    progress,
    note,
    colour,
    many,
    legend,
  );
  const columns = el(
    "div",
    "vw-columns vw-embedding",
    {},
    el("div", "vw-column vw-column-look", {}, look, objects, chips, images),
    el("div", "vw-column vw-column-compare", {}, layers, answer, controls),
  );
  element.append(columns);

  // -- what has arrived ------------------------------------------------------------------------
  /** The answer about what is selected, or null while it is on its way. */
  function mine(): ScatterPoints | null {
    const found = store.get("scatter_points") as Partial<ScatterPoints>;
    const same =
      found.layer === store.get("layer") &&
      found.image_index === store.get("image_index") &&
      found.method === store.get("scatter_method") &&
      found.span === store.get("scatter_span");
    return same ? (found as ScatterPoints) : null;
  }
  let last: Cloud | null = null;
  /** The latest points; those before them stay until they come, but not beside a refusal. */
  function cloud(): Cloud | null {
    const found = mine();
    if (found) last = cloudOf(found);
    return last;
  }
  function values(): ArrayLike<number> | null {
    const found = store.get("scatter_values") as Partial<ScatterValues>;
    const by = store.get("scatter_colour");
    const same =
      found.by === by &&
      found.layer === store.get("layer") &&
      found.image_index === store.get("image_index") &&
      (by !== "attention" || found.query === store.get("query"));
    if (!same || !isPacked(found.values)) return null;
    const numbers = unpack(found.values).codes;
    return numbers.length === last?.count ? numbers : null;
  }
  let painted: { by: ScatterColour; colours: Colours } | null = null;
  let made: readonly unknown[] = [];
  /** The colours of the points; the last ones until the values of a new layer come. */
  function colours(): Colours {
    const [now, by, numbers] = [cloud(), store.get("scatter_colour"), values()];
    if (!now) return { rgb: [], legend: { groups: [], range: null } };
    const of = [now, by, numbers, store.get("colormap"), store.get("image_names")];
    if (painted && of.every((one, i) => one === made[i])) return painted.colours;
    const known = numbers !== null || by === "position" || by === "image";
    if (!known && painted?.by === by && painted.colours.rgb.length === now.count)
      return painted.colours;
    const names = store.get("image_names");
    painted = { by, colours: coloursOf(now, by, numbers, store.get("colormap"), names) };
    made = of;
    return painted.colours;
  }
  const query = () => {
    const now = cloud();
    return now
      ? pointOfQuery(now, store.get("image_index"), store.get("query"), tokensOf(store))
      : -1;
  };

  // -- the picture -----------------------------------------------------------------------------
  function over(): Partial<OverlayScene> {
    const [now, tokens] = [cloud(), tokensOf(store)];
    if (!tokens) return {};
    const { rows, cols } = tokens.asked;
    if (brush.inHand.get() !== null) {
      const drawn = objectsOfLayer(objectsOf(store, tokens.reference), tokens);
      return { cells: rgbaPixels(objectPixels(drawn), cols) };
    }
    if (!now || now.rows !== rows || now.cols !== cols) return {};
    const points = patchPoints(now, store.get("image_index"));
    const selected = new Set(store.get("scatter_selected"));
    const rgb = colours().rgb;
    const pointedAt = plot.pointed.get();
    const patch = pointedAt < 0 ? -1 : points.indexOf(pointedAt);
    return {
      cells: rgbaPixels(patchColours(points, rgb, selected), cols),
      outlined: selected.size ? [Array.from(points, (point) => Number(selected.has(point)))] : [],
      pointed:
        patch < 0 ? stage.pointed.get() : { row: Math.floor(patch / cols), col: patch % cols },
    };
  }
  const stage = drawPatchStage(look, view, {
    label: () => "patches in the colours of their points",
    over,
  });
  const brush = drawMaskBrush(objects, view, stage.element);
  bindPatchBrush(view, stage.element, cloud, () => brush.inHand.get() !== null);
  drawTokenChoices(view, { chips, images, layers });
  const running = () => {
    const found = mine();
    return found !== null && found.done < found.total && store.get("scatter_going");
  };
  const plot = drawScatterPlot(plane, view, {
    cloud,
    rgb: () => colours().rgb,
    query,
    hovered,
    running,
    tool: tool.get,
  });
  drawImageControls(controls, view);

  /** The point of the patch under the pointer on the picture. */
  function hovered(): number {
    const [now, place] = [cloud(), stage.pointed.get()];
    if (!now || !place || now.cols === 0) return -1;
    const points = patchPoints(now, store.get("image_index"));
    return points[place.row * now.cols + place.col] ?? -1;
  }

  // -- words -----------------------------------------------------------------------------------
  function say(): string {
    const now = cloud();
    if (!now) return "";
    const point = [plot.pointed.get(), hovered(), query()].find((one) => one >= 0) ?? -1;
    if (point < 0 || point >= now.count) return "";
    const name = store.get("image_names")[now.image[point]];
    const where =
      now.image[point] === store.get("image_index")
        ? ""
        : `${name || `image ${now.image[point]}`}, `;
    const at = `(${plain(now.exact[2 * point])}, ${plain(now.exact[2 * point + 1])})`;
    return [`${where}${pointName(now, point)} at ${at}`, numberOf(point)]
      .filter(Boolean)
      .join(": ");
  }
  function numberOf(point: number): string {
    const by = store.get("scatter_colour");
    const value = values()?.[point];
    if (value === undefined || Number.isNaN(value)) return "";
    if (by === "norm") return `norm ${activation(value)}`;
    if (by === "attention") return `attention ${weight(value)}`;
    if (by === "object" && value === 0) return "background";
    return `${by} ${value}`;
  }
  function clearSelected(): boolean {
    if (store.get("scatter_selected").length === 0) return false;
    store.set("scatter_selected", []);
    return true;
  }
  const drawSaid = drawTokenFrame(
    element,
    view,
    {
      say,
      keys: [
        ["drag", "select points, or patches; Shift adds"],
        ["p t", "PCA, t-SNE"],
        ["Enter", "select the point that is asked about"],
        ["Esc", "clear what is selected"],
      ],
      press(key, control) {
        const at = control ? -1 : "pt".indexOf(key);
        if (at < 0) return false;
        store.set("scatter_method", METHODS[at].value);
        return true;
      },
    },
    () => brush.putDown() || clearSelected() || leave(),
  );

  listen(tools, "click", () => tool.set(tool.get() === "lasso" ? "box" : "lasso"), signal);
  listen(clear, "click", () => void clearSelected(), signal);
  listen(go, "click", () => store.set("scatter_going", !store.get("scatter_going")), signal);

  function drawProgress(): void {
    const found = mine();
    const part = found && found.total > 0 ? found.done / found.total : 1;
    progress.hidden = part >= 1;
    fill.style.width = percent(part).replace(" ", "");
    attribute(bar, { "aria-valuenow": Math.round(100 * part) });
    const going = store.get("scatter_going");
    setText(
      steps,
      found ? `${going ? "" : "stopped after "}${found.done} of ${found.total} iterations` : "",
    );
    setText(go, going ? "Stop" : "Run again");
  }
  function drawLegend(): void {
    const { groups, range } = colours().legend;
    const by = store.get("scatter_colour");
    const lines: HTMLElement[] = groups.map(({ name, colour: rgb, count }) => {
      const swatch = el("span", "vw-swatch");
      swatch.style.background = `rgb(${rgb.join()})`;
      return el(
        "span",
        "vw-scatter-group",
        {},
        swatch,
        name,
        el("span", "vw-muted vw-number", {}, String(count)),
      );
    });
    if (range) {
      const ramp = el("span", "vw-scatter-ramp");
      ramp.style.background = gradient(store.get("colormap"));
      const ends = [range.low, range.high].map((end) =>
        by === "norm" ? activation(end) : weight(end),
      );
      lines.push(
        el("span", "vw-number", {}, ends[0]),
        ramp,
        el("span", "vw-number", {}, ends[1]),
        el("span", "vw-muted", {}, by === "attention" ? "square-root scale" : ""),
      );
    }
    if (by === "position")
      lines.push(el("span", "vw-muted", {}, "blue left, orange right, lighter towards the bottom"));
    legend.replaceChildren(...lines);
  }
  let drawnLegend: unknown = null;
  function draw(): void {
    const found = mine();
    const now = cloud();
    const by = store.get("scatter_colour");
    const valued = store.get("scatter_values") as Partial<ScatterValues>;
    const about = valued.by === by && valued.layer === store.get("layer") ? valued.note : "";
    const words = [found?.note || current(store)?.note, about].filter(Boolean).join(" · ");
    setNote(note, words);
    many.hidden = by !== "cluster";
    const shares = found?.explained ?? [];
    const variance =
      shares.length === 2
        ? `${percent(shares[0])} of the variance across, ${percent(shares[1])} up`
        : "";
    const loose = now !== null && store.get("scatter_method") !== "pca";
    setText(axes, loose ? "only who is near whom means something" : variance);
    const count = store.get("scatter_selected").length;
    setText(chosen, count ? `${count} selected` : "");
    clear.hidden = count === 0;
    setText(tools, `drag: ${tool.get()}`);
    attribute(tools, { "aria-label": `a drag draws a ${tool.get()}; press to change` });
    for (const input of choice.querySelectorAll("input")) {
      const there = store.get("scatter_methods").includes(input.value as ScatterMethod);
      (input.closest("label") as HTMLElement).hidden = !there;
    }
    const made = colours();
    if (made !== drawnLegend) {
      drawnLegend = made;
      drawLegend();
    }
    drawProgress();
    attribute(element, {
      "data-answer": found ? "current" : "stale",
      "data-iterations": found?.done ?? 0,
    });
    plot.repaint();
    stage.repaint();
    drawSaid();
  }
  view.paintOn(
    [
      ...(["layer", "query", "image_index", "image_names", "token_layer", "token_mask"] as const),
      ...(["scatter_method", "scatter_methods", "scatter_span", "scatter_colour"] as const),
      ...(["scatter_k", "scatter_selected", "scatter_going"] as const),
      ...(["scatter_points", "scatter_values", "colormap"] as const),
    ],
    draw,
  );
  const point = () => {
    plot.repaint();
    stage.repaint();
    drawSaid();
  };
  stage.pointed.on(point);
  plot.pointed.on(point);
  brush.inHand.on(() => view.paint(draw));
  tool.on(() => view.paint(draw));

  return {
    drawn() {
      const found = mine();
      if (!found || !current(store)) return "";
      const more = found.done < found.total ? `:${found.done}` : "";
      return [found.image_index, found.layer, store.get("query"), found.method].join(":") + more;
    },
    problem: () => "",
    async savePng() {
      const side = 900;
      const canvas = el("canvas");
      const scene = stage.scene();
      const aspect = scene.photo ? scene.photo.width / scene.photo.height : 1;
      const width = Math.round(side * aspect);
      canvas.width = width + 24 + side;
      canvas.height = side;
      const context = context2d(canvas);
      const points = plot.scene();
      context.fillStyle = points?.paper ?? "#ffffff";
      context.fillRect(0, 0, canvas.width, canvas.height);
      paintOverlay(context, { x: 0, y: 0, width, height: side }, 2, scene);
      const box = { x: width + 24, y: 0, width: side, height: side };
      if (points) paintPoints(context, box, 2, points);
      await saveCanvas(canvas, `${store.get("scatter_method")}-layer-${store.get("layer")}.png`);
    },
  };
}
