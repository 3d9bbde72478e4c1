// Which heads are chosen, and which queries are pinned.
import { MOST_PINS } from "./state";

export interface Heads {
  head: number;
  /** Contains `head`; empty when it is the only one. */
  heads: number[];
}

export function one(head: number): Heads {
  return { head, heads: [] };
}

/** Adds a head to the chosen ones or takes it away; one always stays. */
export function toggle(chosen: Heads, head: number): Heads {
  const now = new Set(chosen.heads.length ? chosen.heads : [chosen.head]);
  if (now.has(head) && now.size > 1) now.delete(head);
  else now.add(head);
  const current = now.has(head) ? head : now.has(chosen.head) ? chosen.head : [...now][0];
  return normal(current, now);
}

/** Everything between the current head and another, in the order on screen. */
export function range(chosen: Heads, head: number, order: readonly number[]): Heads {
  const [from, to] = [order.indexOf(chosen.head), order.indexOf(head)].sort((a, b) => a - b);
  const between = from < 0 ? [head] : order.slice(from, to + 1);
  return normal(chosen.head, new Set([...between, chosen.head]));
}

/** Adds one head and makes it the current one. */
export function extend(chosen: Heads, head: number): Heads {
  return normal(head, new Set([...chosen.heads, chosen.head, head]));
}

function normal(head: number, all: Set<number>): Heads {
  return { head, heads: all.size > 1 ? [...all].sort((a, b) => a - b) : [] };
}

/** Pins a query or takes the pin away; the number of pins has a limit. */
export function togglePin(pins: readonly number[], token: number): number[] {
  if (pins.includes(token)) return pins.filter((pin) => pin !== token);
  return pins.length < MOST_PINS ? [...pins, token] : [...pins];
}

/** Pins are called A, B, C … on the picture and beside it. */
export function pinLetter(index: number): string {
  return String.fromCharCode(65 + index);
}
