// A section of the neuron page: what Python answered, dimmed and named while it is about another
// neuron, and gone while there is nothing.
import { grouped } from "../lib/format";
import {
  ABOUT,
  type AnswerKey,
  type Answers,
  chooseNeuron,
  type Selection,
  standingOf,
} from "../lib/neuron";
import type { NeuronPageState } from "../lib/state";
import { attribute, el, listen, setText } from "./dom";
import type { View } from "./view";

export interface Section {
  title: HTMLElement;
  /** Beside the title: what it is measured on. */
  aside: HTMLElement;
  bar: HTMLElement;
}

export function section(element: HTMLElement, title: string, aside = ""): Section {
  const parts = {
    title: el("span", "vw-title", {}, title),
    aside: el("span", "vw-muted vw-small vw-ellipsis", {}, aside),
  };
  const bar = el("div", "vw-bar vw-bar-wrap", {}, parts.title, parts.aside);
  element.classList.add("vw-section");
  element.append(bar);
  return { ...parts, bar };
}

/** Draws an answer whenever it, the selection or one of the other traits changes. */
export function paintAnswer<K extends AnswerKey>(
  element: HTMLElement,
  view: View<NeuronPageState>,
  key: K,
  stale: HTMLElement,
  draw: (answer: Answers[K]) => void,
  also: readonly (keyof NeuronPageState)[] = [],
): void {
  const { store } = view;
  element.classList.add("vw-answer");
  const about = ABOUT[key] as readonly (keyof Selection)[];
  view.paintOn([key, ...about, "neuron_counts", "neuron_of_layer", ...also], () => {
    const standing = standingOf(store, key);
    element.hidden = standing === "none";
    attribute(element, { "data-answer": standing, "aria-busy": standing === "stale" });
    if (standing === "none") return;
    const answer = store.get(key) as Answers[K];
    draw(answer);
    if (standing === "stale") setText(stale, `this is ${whoseAnswer(answer)}`);
  });
}

/** "neuron 12 of layer 5", or whatever else an answer is about. */
export function whoseAnswer(answer: Partial<Selection>): string {
  const { layer, neuron } = answer;
  if (neuron === undefined) return `of layer ${layer}`;
  return `neuron ${grouped(neuron)} of layer ${layer}`;
}

/** Neurons of a layer, each with a number; a click goes there. */
export interface NeuronList {
  element: HTMLElement;
  draw(layer: number, rows: readonly { neuron: number; value: string }[], about?: string): void;
}

export function neuronList(view: View<NeuronPageState>, label: string): NeuronList {
  const element = el("ul", "vw-neurons", { "aria-label": label });
  let shown = 0;
  listen(
    element,
    "click",
    (event) => {
      const row = event.target instanceof Element ? event.target.closest("[data-neuron]") : null;
      if (row) chooseNeuron(view.store, Number(row.getAttribute("data-neuron")), shown);
    },
    view.signal,
  );
  return {
    element,
    draw(layer, rows, about = "") {
      shown = layer;
      element.replaceChildren(
        ...rows.map(({ neuron, value }) =>
          el(
            "li",
            "vw-neuron-item",
            {},
            el(
              "button",
              "vw-neuron-row",
              { type: "button", "data-neuron": neuron, title: about },
              el("span", "", {}, `neuron ${grouped(neuron)}`),
              el("span", "vw-number", {}, value),
            ),
          ),
        ),
      );
    },
  };
}
