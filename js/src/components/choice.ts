// How a click or a key chooses a head: alone, added or taken away, or everything up to it.

export type Choice = "alone" | "toggle" | "range" | "extend";

export type Choose = (layer: number, head: number, order: readonly number[], how: Choice) => void;

export function choiceOf(event: MouseEvent): Choice {
  if (event.shiftKey) return "range";
  return event.ctrlKey || event.metaKey ? "toggle" : "alone";
}
