// Names with numbers and bars: what the model says, or how often something is.
import { attribute, el } from "./dom";

export interface Meter {
  name: string;
  number: string;
  /** Length of the bar, 0 to 1. */
  part: number;
}

/** The items of a list. */
export function meters(items: readonly Meter[]): HTMLElement[] {
  return items.map(({ name, number, part }) => {
    const fill = el("span", "vw-meter-fill");
    fill.style.width = `${100 * Math.min(1, Math.max(0, part))}%`;
    const words = el("span", "vw-ellipsis", {}, name);
    attribute(words, { title: name });
    return el(
      "li",
      "vw-prediction",
      {},
      el("span", "vw-row", {}, words, el("span", "vw-number", {}, number)),
      el("span", "vw-meter", { "aria-hidden": "true" }, fill),
    );
  });
}
