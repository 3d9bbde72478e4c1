// What a screen reader hears: where the selection came to rest, not every step.
import { el, setText } from "./dom";

const ANNOUNCE_MS = 600;

export interface Announcer {
  /** Out of sight; to be put beside what it says. */
  element: HTMLElement;
  /** Says the words when nothing else was to be said for a moment. */
  say(words: string): void;
}

export function announcer(signal: AbortSignal): Announcer {
  const element = el("span", "vw-hidden", { "aria-live": "polite" });
  let timer = 0;
  signal.addEventListener("abort", () => clearTimeout(timer));
  return {
    element,
    say(words) {
      clearTimeout(timer);
      timer = window.setTimeout(() => setText(element, words), ANNOUNCE_MS);
    },
  };
}
