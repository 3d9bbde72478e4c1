// What is left as heads are silenced together, with a scrubber that greys them out in the matrix.
import { ABOUT, curveLines, linePath, METRICS, type Order, withoutAThird } from "../lib/dashboard";
import { clampIndex } from "../lib/geometry";
import type { HeadDashboardState } from "../lib/state";
import type { DashboardModel } from "./dashboard_model";
import { attribute, el, listen, setText } from "./dom";
import { menu } from "./menu";
import { segmented } from "./segmented";
import type { View } from "./view";

const ORDERS: readonly { value: Order; text: string }[] = [
  { value: "least", text: "least important first" },
  { value: "most", text: "most" },
];
const LEFT: Record<(typeof METRICS)[number], string> = {
  probability: "probability of the class",
  logit: "score of the class",
  distribution: "divergence from the whole model",
  embedding: "distance of the embedding",
  accuracy: "accuracy",
};

export function drawDashboardCurve(
  element: HTMLElement,
  view: View<HeadDashboardState>,
  model: DashboardModel,
): void {
  const { store, signal } = view;
  const [high, low] = [el("span", "vw-dash-high"), el("span", "vw-dash-low")];
  const drawing = el("div", "vw-dash-drawing", { role: "img" });
  const scrub = el("input", "vw-range", { type: "range", min: 0, step: 1 });
  const said = el("p", "vw-note vw-dash-words", { role: "status" });
  const answer = el("p", "vw-note vw-dash-words", { role: "status" });
  const note = el("p", "vw-note");
  const body = el(
    "div",
    "",
    {},
    answer,
    el(
      "div",
      "vw-bar vw-bar-wrap",
      {},
      menu(
        view,
        "heads_left",
        "what is drawn",
        METRICS.map((value) => ({ value, text: LEFT[value] })),
      ),
      segmented(view, "heads_first", "which heads go first", ORDERS),
    ),
    el("div", "vw-dash-frame", {}, high, low, drawing),
    scrub,
    said,
  );
  const empty = el("p", "vw-note", {}, "Pruning curve silences more and more heads together.");
  element.append(body, empty, note);
  attribute(scrub, { "aria-label": "heads removed" });
  const counts = () => model.curve()?.counts ?? [];
  const at = () =>
    Math.max(
      0,
      counts().findLastIndex((one) => one <= store.get("heads_removed")),
    );
  const remove = (step: number) =>
    store.set("heads_removed", counts()[clampIndex(step, counts().length)] ?? 0);
  listen(scrub, "input", () => remove(Number(scrub.value)), signal);
  listen(
    drawing,
    "click",
    (event) => {
      const box = drawing.getBoundingClientRect();
      remove(Math.round(((event.clientX - box.left) / box.width) * (counts().length - 1)));
    },
    signal,
  );

  function draw(): void {
    const found = model.curve();
    const metric = store.get("heads_left");
    const lines = found && curveLines(found, metric);
    const steps = counts();
    body.hidden = steps.length === 0;
    empty.hidden = steps.length > 0;
    setText(note, found?.note ?? "");
    note.hidden = !found?.note;
    if (!found || steps.length === 0) return;
    attribute(scrub, { max: steps.length - 1 });
    setText(answer, withoutAThird(found));
    answer.hidden = answer.textContent === "";
    const step = at();
    scrub.value = String(step);
    scrub.style.setProperty("--vw-at", String(step / Math.max(1, steps.length - 1)));
    const all = steps.at(-1) ?? 0;
    const where = `${steps[step]} of ${all} heads removed`;
    if (!lines) {
      drawing.replaceChildren();
      const lacks = metric === "accuracy" ? ": set page.heads_labels, one class an image" : "";
      setText(said, `${where}. ${ABOUT[metric].text} is not known${lacks}.`);
      return;
    }
    const finite = lines.flat().filter(Number.isFinite);
    const unit = metric === "probability" || metric === "accuracy";
    const range = unit
      ? { low: 0, high: 1 }
      : { low: Math.min(0, ...finite), high: Math.max(...finite) };
    const first = store.get("heads_first");
    const x = step / Math.max(1, steps.length - 1);
    // parsed, not created: numbers only, and the parser knows the namespace
    drawing.innerHTML = `<svg class="vw-dash-svg" aria-hidden="true" viewBox="0 0 1 1" preserveAspectRatio="none"><path data-mark d="M${x.toFixed(4)} 0V1" vector-effect="non-scaling-stroke"/>${lines
      .map(
        (line, i) =>
          `<path data-order="${i ? "least" : "most"}" d="${linePath(line, range)}" vector-effect="non-scaling-stroke"/>`,
      )
      .join("")}</svg>`;
    attribute(drawing, { "data-first": first });
    const show = (value: number) =>
      Number.isFinite(value) ? value.toFixed(2).replace("-", "−") : "–";
    setText(high, show(range.high));
    setText(low, show(range.low));
    const now = lines[first === "most" ? 0 : 1];
    const words = `${where}: ${LEFT[metric]} ${show(now[step])}, of the whole model ${show(now[0])}`;
    const by = found.by ? ` Ordered by ${ABOUT[found.by].text}.` : "";
    setText(
      said,
      `${words}, over ${found.images} ${found.images === 1 ? "image" : "images"}.${by}`,
    );
    attribute(scrub, { "aria-valuetext": words });
    attribute(drawing, { "aria-label": words });
  }
  view.paintOn(
    ["heads_curve", "heads_left", "heads_first", "heads_removed", "heads_over", "explained"],
    draw,
  );
  view.paintOn(["image_index"], draw);
}
