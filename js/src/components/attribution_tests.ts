// How far the maps can be trusted: curves of all of them over each other, and their scores.
import {
  type AttributionCurves,
  bandPath,
  columnsOf,
  curvePath,
  curvesOf,
  endsOf,
  type Method,
  rangeOf,
} from "../lib/attribution";
import { plain } from "../lib/format";
import type { AttributionsState } from "../lib/state";
import { attribute, el, listen, setText } from "./dom";
import { segmented } from "./segmented";
import type { View } from "./view";

const MEASURES = [
  {
    name: "sensitivity_n",
    text: "sensitivity-n",
    title: "whether sums of the map follow the score as random patches are replaced",
  },
  {
    name: "road",
    text: "ROAD",
    title: "curves with pixels that are imputed from their neighbours",
  },
  {
    name: "max_sensitivity",
    text: "noise",
    title: "how far the map changes under noise that one does not see; the map is made again",
  },
  {
    name: "randomization",
    text: "forgetting",
    title: "how far the map stays as it is while the model forgets layer by layer",
  },
] as const;
const RANDOM = "random map";
const BASELINES = [RANDOM, "edge detector"];

export function drawTests(
  element: HTMLElement,
  view: View<AttributionsState>,
  curves: () => AttributionCurves | null,
  methods: () => readonly Method[],
): () => void {
  const { store, signal } = view;
  const plot = el("div", "vw-attribution-plot", { role: "img" });
  const [most, least] = [el("span", "vw-attribution-most"), el("span", "vw-attribution-least")];
  const scrub = el("input", "vw-range", { type: "range", min: -1, "aria-label": "step" });
  const at = el("output", "vw-number vw-small");
  const words = el("p", "vw-attribution-trust", { role: "status" });
  const note = el("p", "vw-note");
  const table = el("table", "vw-attribution-table");
  const more = el("div", "vw-settings");
  const over = segmented(view, "attribution_over", "over which images", [
    { value: "this image", text: "this image" },
    { value: "all images", text: "all images", title: "means over the images of this page" },
  ]);
  element.append(
    el(
      "div",
      "vw-bar",
      {},
      segmented(view, "attribution_curve", "which curve", [
        { value: "deletion", text: "deletion", title: "the highest patches are replaced first" },
        { value: "insertion", text: "insertion", title: "the highest patches are shown first" },
      ]),
      over,
    ),
    el("div", "vw-attribution-frame", {}, most, least, plot),
    el("div", "vw-attribution-scrub", {}, scrub, at),
    words,
    note,
    table,
    more,
  );
  listen(scrub, "input", () => store.set("attribution_step", Number(scrub.value)), signal);
  listen(
    table,
    "click",
    (event) => {
      const row = event.target instanceof Element ? event.target.closest("[data-name]") : null;
      const name = row?.getAttribute("data-name") ?? "";
      if (methods().some((one) => one.name === name)) store.set("attribution_method", name);
    },
    signal,
  );
  view.paintOn(["image_names"], () => {
    over.hidden = store.get("image_names").length < 2;
  });
  for (const { name, text, title } of MEASURES) {
    const box = el("input", "vw-check", { type: "checkbox" });
    listen(
      box,
      "change",
      () => {
        const others = store.get("attribution_measures").filter((one) => one !== name);
        store.set("attribution_measures", box.checked ? [...others, name] : others);
      },
      signal,
    );
    view.paintOn(["attribution_measures"], () => {
      box.checked = store.get("attribution_measures").includes(name);
    });
    more.append(el("label", "vw-control vw-toggle", { title }, box, el("span", "", {}, text)));
  }

  const nameOf = (name: string) => methods().find((one) => one.name === name)?.words ?? name;

  function drawPlot(answer: AttributionCurves): void {
    const kind = store.get("attribution_curve");
    const rows = curvesOf(answer, kind);
    const chosen = answer.names.indexOf(store.get("attribution_method"));
    const banded = [chosen, answer.names.indexOf(RANDOM)].filter((row) => row >= 0);
    const ends = endsOf(answer, kind);
    const range = rangeOf([...rows, ...banded.flatMap((row) => ends[row])]);
    const last = Math.max(0, answer.fractions.length - 1);
    const step = Math.min(store.get("attribution_step"), last);
    const band = (row: number) => {
      const d = bandPath(answer.fractions, ends[row], range);
      return d && `<path data-band="${row === chosen ? "chosen" : "random"}" d="${d}"/>`;
    };
    const path = (row: number) => {
      const line = BASELINES.includes(answer.names[row]) ? answer.names[row] : "method";
      const d = curvePath(answer.fractions, rows[row], range) || "M0 0";
      return `<path data-line="${row === chosen ? "chosen" : line}" d="${d}" vector-effect="non-scaling-stroke"/>`;
    };
    const order = rows
      .map((_, row) => row)
      .sort((a, b) => Number(a === chosen) - Number(b === chosen));
    // parsed, not created: numbers and our own names only, and the parser knows the namespace
    plot.innerHTML = `<svg aria-hidden="true" viewBox="0 0 1 1" preserveAspectRatio="none">${banded.map(band).join("")}${order.map(path).join("")}</svg>`;
    if (step >= 0) {
      const mark = el("div", "vw-attribution-marker");
      mark.style.setProperty("--vw-at", String(answer.fractions[step]));
      plot.append(mark);
    }
    setText(most, plain(range.high));
    setText(least, plain(range.low).replace("-", "−"));
    attribute(scrub, { max: last });
    if (scrub.value !== String(step)) scrub.value = String(step);
    const score = rows[chosen]?.[step];
    const share = `${Math.round(100 * (answer.fractions[step] ?? 0))} % ${kind === "deletion" ? "replaced" : "shown"}`;
    const said = step < 0 ? "the image as it is" : `${share}: ${score?.toFixed(2) ?? "–"}`;
    setText(at, said);
    attribute(scrub, { "aria-valuetext": said });
    attribute(plot, { "aria-label": `${kind}: ${said}; ${answer.words[chosen] ?? ""}` });
  }
  function drawTable(answer: AttributionCurves): void {
    const columns = columnsOf(answer.scores);
    const head = el(
      "tr",
      "",
      {},
      el("th", "", { scope: "col" }, "map"),
      ...columns.map(({ text, title }) => el("th", "", { scope: "col", title }, text)),
    );
    const rows = answer.names.map((name, row) => {
      const cells = columns.map((column) => {
        const value = answer.scores[row][column.name];
        const [low, high] = answer.ends[row]?.[column.name] ?? [null, null];
        const digits = column.name === "average_drop_50" ? 0 : 2;
        const number = (one: number) => one.toFixed(digits).replace("-", "−");
        const known = typeof value === "number";
        const sure = low !== null && high !== null ? `${number(low)} to ${number(high)}` : "";
        return el(
          "td",
          "",
          { title: sure && `95 % interval of the mean: ${sure}` },
          known ? number(value) : "–",
          ...(sure && column.name === "abpc"
            ? [el("span", "vw-attribution-ends vw-muted", {}, sure)]
            : []),
        );
      });
      const button = BASELINES.includes(name)
        ? el("span", "vw-muted", {}, name)
        : el("button", "vw-action", { type: "button" }, nameOf(name));
      const chosen = name === store.get("attribution_method");
      const about = { "data-name": name, "data-chosen": chosen, title: answer.notes[row] };
      return el("tr", "", about, el("th", "", { scope: "row" }, button), ...cells);
    });
    table.replaceChildren(el("thead", "", {}, head), el("tbody", "", {}, ...rows));
  }
  return function draw() {
    const answer = curves();
    const there = answer !== null && answer.fractions.length > 0;
    for (const one of [plot, most, least, scrub, at, table]) one.hidden = !there;
    if (!answer || !there) {
      setText(words, "");
      setText(note, answer?.notes.find(Boolean) ?? "Maps are tested when they are made.");
      note.hidden = false;
      return;
    }
    drawPlot(answer);
    drawTable(answer);
    const chosen = answer.names.indexOf(store.get("attribution_method"));
    setText(words, answer.words[chosen] ?? "");
    setText(
      note,
      [answer.notes[chosen], `${answer.pictures} pictures scored so far, ${images(answer)}`]
        .filter(Boolean)
        .join(" · "),
    );
  };
}

function images(answer: AttributionCurves): string {
  if (answer.over === "this image") return "of this one image";
  return `of ${answer.images} image${answer.images === 1 ? "" : "s"}`;
}
