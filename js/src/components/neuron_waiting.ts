// Since when the answers on screen are about another neuron than the one that is selected.
import { type AnswerKey, SELECTION, type Selection, standingOf } from "../lib/neuron";
import type { NeuronPageState } from "../lib/state";
import { whoseAnswer } from "./neuron_answer";
import type { Waiting } from "./status";
import type { View } from "./view";

/** What is looked at first. */
const WAITED_FOR: readonly AnswerKey[] = ["neuron_map", "top_images"];

export function neuronWaiting({ store, signal }: View<NeuronPageState>): Waiting {
  const listeners = new Set<() => void>();
  let since: number | null = null;
  const late = () => WAITED_FOR.find((key) => standingOf(store, key) === "stale");
  function look(): void {
    since = late() ? (since ?? performance.now()) : null;
    for (const listener of [...listeners]) listener();
  }
  for (const key of [...SELECTION, ...WAITED_FOR] as const) store.on(key, look, signal);
  look();
  return {
    since: () => since,
    shown() {
      const key = late() ?? "top_images";
      return standingOf(store, key) === "none"
        ? ""
        : whoseAnswer(store.get(key) as Partial<Selection>);
    },
    on: (changed) => listeners.add(changed),
  };
}
