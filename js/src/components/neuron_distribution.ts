// How active the neuron is over all images that were scanned, and where the images shown stand.
import { activation, grouped } from "../lib/format";
import type { NeuronPageState } from "../lib/state";
import { el, setText } from "./dom";
import { paintAnswer, section } from "./neuron_answer";
import type { View } from "./view";

export function drawDistribution(element: HTMLElement, view: View<NeuronPageState>): void {
  const { title, aside } = section(element, "");
  const bars = el("div", "vw-histogram", { role: "img" });
  const marks = el("div", "vw-histogram-marks", { "aria-hidden": "true" });
  const [low, middle, high] = [el("span"), el("span", "vw-accent"), el("span")];
  element.classList.add("vw-distribution");
  element.append(
    bars,
    marks,
    el("div", "vw-row vw-muted vw-small vw-number", {}, low, middle, high),
  );

  paintAnswer(element, view, "distribution", aside, (answer) => {
    const { edges, counts, sampled, total, caption } = answer;
    const [from, to] = [edges[0] ?? 0, edges.at(-1) ?? 0];
    const spread = to - from || 1;
    const most = Math.max(1, ...counts);
    const sample = sampled < total ? `a sample of ${grouped(sampled)} of ` : "";
    setText(title, `Where this neuron stands among ${sample}${grouped(total)} images`);
    setText(aside, caption);
    bars.replaceChildren(
      ...counts.map((count, i) => {
        const [left, right] = [edges[i], edges[i + 1]];
        const bar = el("span", "vw-histogram-bar", {
          title: `${activation(left)} to ${activation(right)}: ${grouped(count)} images`,
        });
        bar.style.left = `${(100 * (left - from)) / spread}%`;
        bar.style.width = `${(100 * (right - left)) / spread}%`;
        bar.style.setProperty("--vw-part", String(count / most));
        bar.hidden = count === 0;
        return bar;
      }),
    );
    const shown = answer.shown.filter((score) => score !== null);
    marks.replaceChildren(
      ...shown.map((score) => {
        const mark = el("span", "vw-histogram-mark");
        mark.style.left = `${100 * Math.min(1, Math.max(0, (score - from) / spread))}%`;
        return mark;
      }),
    );
    setText(low, activation(from));
    setText(high, activation(to));
    const [least, top] = [Math.min(...shown), Math.max(...shown)];
    const range = shown.length ? `${activation(least)} to ${activation(top)}` : "";
    setText(middle, range && `shown: ${range}`);
    const peak = counts.indexOf(most);
    const usual =
      peak < 0
        ? ""
        : `most between ${activation(edges[peak])} and ${activation(edges[peak + 1])}; `;
    bars.setAttribute(
      "aria-label",
      `histogram of ${grouped(sampled)} images from ${activation(from)} to ${activation(to)}; ` +
        `${usual}the images shown lie at ${range || "no known place"}`,
    );
  });
}
