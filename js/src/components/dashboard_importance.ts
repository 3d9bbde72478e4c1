// What is followed, what is measured at length, how far that is, and what it took.
import { type HeadRun, IMPORTANCE } from "../lib/dashboard";
import { percent, plain } from "../lib/format";
import type { HeadDashboardState } from "../lib/state";
import type { DashboardModel } from "./dashboard_model";
import { attribute, el, listen, setText } from "./dom";
import { drawExplained } from "./explained_choice";
import type { View } from "./view";

const RUNS: readonly { run: HeadRun; text: string; title: string }[] = [
  { run: "exact", text: "Exact", title: "silence every head alone, and run the model on" },
  { run: "screen", text: "Screen", title: "silence the first tenth of the heads by first order" },
  {
    run: "curve",
    text: "Pruning curve",
    title: "silence more and more heads together, the most and the least important first",
  },
];

export function drawDashboardImportance(
  element: HTMLElement,
  view: View<HeadDashboardState>,
  model: DashboardModel,
): void {
  const { store, signal } = view;
  const target = el("div");
  const followed = el("p", "vw-note");
  drawExplained(target, view);
  /** Starts a run, and shows what it is about to measure. */
  function begin(run: HeadRun): void {
    store.set("heads_running", run);
    const known: readonly string[] = IMPORTANCE;
    if (run !== "curve" && !known.includes(store.get("heads_number")))
      store.set("heads_number", "logit");
    if (run === "curve" && store.get("heads_labels").length > 0)
      store.set("heads_left", "accuracy");
  }
  const buttons = RUNS.map(({ run, text, title }) => {
    const button = el("button", "vw-button", { type: "button", title, "data-run": run }, text);
    listen(button, "click", () => begin(run), signal);
    return button;
  });
  const stop = el("button", "vw-button", { type: "button" }, "Stop");
  const fill = el("span", "vw-progress-fill");
  const bar = el("span", "vw-progress-bar", { role: "progressbar", "aria-label": "heads" }, fill);
  const steps = el("span", "vw-progress-text vw-number");
  const progress = el("div", "vw-progress", {}, bar, steps, stop);
  const took = el("p", "vw-note vw-dash-words", { role: "status" });
  const note = el("p", "vw-note");
  element.append(
    target,
    followed,
    el("div", "vw-tools vw-dash-runs", {}, ...buttons),
    progress,
    took,
    note,
  );
  listen(stop, "click", () => store.set("heads_running", ""), signal);
  function draw(): void {
    const [found, curve, running] = [model.importance(), model.curve(), store.get("heads_running")];
    setText(followed, found?.words ?? "");
    for (const button of buttons) {
      const mine = button.getAttribute("data-run");
      attribute(button, { "aria-pressed": String(mine === running) });
      button.disabled = running !== "";
    }
    progress.hidden = running === "";
    const of = running === "curve" ? curve : found;
    const measured = running === "curve" || (found?.run === running && found.done < found.total);
    const part = of && measured && of.total > 0 ? of.done / of.total : 0;
    fill.style.width = percent(part).replace(" ", "");
    attribute(bar, { "aria-valuenow": Math.round(100 * part) });
    const left = of && measured && of.total > 0 ? `${of.done} of ${of.total} steps` : "begins";
    setText(steps, running === "" ? "" : left);
    const words: string[] = [];
    if (found && found.done > 0) {
      const kind = found.run === "screen" ? "Screened heads" : "All heads";
      const all = found.done === found.total ? kind : `${found.done} of ${found.total} steps`;
      const cost = `${all}: ${plain(found.forwards)} forwards, ${found.evaluations} block evaluations`;
      words.push(`${cost}.`);
      if (found.agreement !== null)
        words.push(
          `Ranks of first order and exact agree to ${found.agreement.toFixed(2).replace("-", "−")}.`,
        );
    }
    setText(took, words.join(" "));
    took.hidden = words.length === 0;
    setText(note, found?.note ?? "");
    note.hidden = !found?.note;
  }
  view.paintOn(
    [
      ...(["heads_importance", "heads_curve", "heads_running"] as const),
      ...(["explained", "heads_over", "image_index"] as const),
    ],
    draw,
  );
}
