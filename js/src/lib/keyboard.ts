// What keys mean. Pure: from a key and where it was pressed to a command, from a command to a value.
import { type Place, placeIn, type Tokens, tokenUnder } from "./geometry";

export type Command =
  | { kind: "head" | "layer" | "image"; by: number }
  | { kind: "query"; key: Arrow }
  | { kind: "pin" | "clear" | "help" };

export type Arrow = "ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown";

/** Where the focus is: on the picture, in a control with keys of its own, or elsewhere. */
export type Focus = "picture" | "control" | "elsewhere";

const ARROWS: Record<Arrow, Command> = {
  ArrowLeft: { kind: "head", by: -1 },
  ArrowRight: { kind: "head", by: 1 },
  ArrowUp: { kind: "layer", by: -1 },
  ArrowDown: { kind: "layer", by: 1 },
};

export function isArrow(key: string): key is Arrow {
  return key in ARROWS;
}

export interface Press {
  key: string;
  ctrlKey?: boolean;
  metaKey?: boolean;
  altKey?: boolean;
}

/** Null: not ours, the host keeps it. */
export function command(press: Press, focus: Focus): Command | null {
  if (press.ctrlKey || press.metaKey || press.altKey) return null;
  switch (press.key) {
    case "[":
      return { kind: "image", by: -1 };
    case "]":
      return { kind: "image", by: 1 };
    case "?":
      return { kind: "help" };
    case "Escape":
      return { kind: "clear" };
  }
  if (focus === "control") return null;
  if (press.key === " ") return { kind: "pin" };
  if (!isArrow(press.key)) return null;
  return focus === "picture" ? { kind: "query", key: press.key } : ARROWS[press.key];
}

/** The next token: by patches of the layer, above its first row along the prefix tokens. */
export function moveQuery(token: number, key: Arrow, tokens: Tokens): number {
  const { prefix } = tokens.reference;
  if (token < prefix) {
    if (key === "ArrowLeft") return Math.max(0, token - 1);
    if (key === "ArrowRight") return Math.min(prefix - 1, token + 1);
    return key === "ArrowDown" ? (tokenUnder({ row: 0, col: 0 }, tokens) ?? token) : token;
  }
  const { rows, cols } = tokens.asked;
  // a place that this layer does not have is left for its first patch
  const from = placeIn(token, tokens) ?? { row: -1, col: -1 };
  const to = (place: Place): Place => ({
    row: Math.min(rows - 1, Math.max(0, place.row + step(key, "ArrowDown", "ArrowUp"))),
    col: Math.min(cols - 1, Math.max(0, place.col + step(key, "ArrowRight", "ArrowLeft"))),
  });
  if (key === "ArrowUp" && from.row === 0) return prefix > 0 ? 0 : token;
  // where the selection is coarser than the layer, several patches are one token
  for (let last = from, place = to(from); place.row !== last.row || place.col !== last.col; ) {
    const next = tokenUnder(place, tokens);
    if (next !== null && next !== token) return next;
    [last, place] = [place, to(place)];
  }
  return token;
}

function step(key: string, forward: string, back: string): number {
  return key === forward ? 1 : key === back ? -1 : 0;
}

/** The next head in the order that is on screen. */
export function moveHead(head: number, by: number, order: readonly number[]): number {
  const at = order.indexOf(head);
  if (at < 0) return order[0] ?? head;
  return order[Math.max(0, Math.min(order.length - 1, at + by))];
}
