// What the strongest images show, and what the model loses without the neuron.
import { change, grouped, nats } from "../lib/format";
import type { Effect } from "../lib/neuron";
import type { NeuronPageState } from "../lib/state";
import { el, setText } from "./dom";
import { meters } from "./meters";
import { paintAnswer, section } from "./neuron_answer";
import type { View } from "./view";

const MOST = 5;

export function drawClassCounts(element: HTMLElement, view: View<NeuronPageState>): void {
  const { title, aside } = section(element, "");
  const list = el("ul", "vw-meters");
  const note = el("p", "vw-note vw-lines");
  element.append(list, note);
  paintAnswer(element, view, "class_counts", aside, ({ k, classes, entropy }) => {
    setText(title, `Classes of the top ${grouped(k)}`);
    setText(aside, "");
    list.replaceChildren(
      ...meters(
        classes.slice(0, MOST).map(({ label, count }) => ({
          name: label,
          number: grouped(count),
          part: k > 0 ? count / k : 0,
        })),
      ),
    );
    const more = classes.length - MOST;
    const others = more > 0 ? `${more} more ${more === 1 ? "class" : "classes"}` : "";
    const spread = entropy === null ? "" : `class entropy ${nats(entropy)}`;
    setText(note, [others, spread].filter(Boolean).join("\n"));
  });
}

const TITLES: Record<Effect["what"], string> = {
  silenced: "If it is silenced",
  doubled: "If it is doubled",
};

export function drawEffects(element: HTMLElement, view: View<NeuronPageState>): void {
  const stale = el("span", "vw-muted vw-small");
  const rows = el("div", "vw-effects");
  const note = el("p", "vw-note");
  element.classList.add("vw-section");
  element.append(rows, note);
  paintAnswer(element, view, "effects", stale, (answer) => {
    setText(stale, "this image");
    rows.replaceChildren(
      ...answer.rows.map((effect, i) => {
        const bar = el("div", "vw-bar", {}, el("span", "vw-title", {}, TITLES[effect.what]));
        if (i === 0) bar.append(stale);
        return el("div", "vw-effect", {}, bar, facts(effect));
      }),
    );
    setText(note, answer.note);
    note.hidden = answer.note === "";
  });
}

function facts({ classes, top_before, top_after }: Effect): HTMLElement {
  const line = (name: string, value: string) =>
    el(
      "div",
      "vw-row",
      {},
      el("dt", "vw-muted vw-ellipsis", { title: name }, name),
      el("dd", "vw-number", {}, value),
    );
  return el(
    "dl",
    "vw-facts",
    {},
    ...classes.map(({ label, before, after }) => line(`p(${label})`, change(before, after))),
    line("top class", top_before === top_after ? "unchanged" : `${top_before} → ${top_after}`),
  );
}
