// What Python is doing, what went wrong, and why there is nothing to see.
import type { AttentionTraits } from "../lib/attention";
import { tokenName } from "../lib/format";
import type { CommonState } from "../lib/state";
import { attribute, el, setText } from "./dom";
import { type AttentionView, tokensOf, type View } from "./view";

const PATIENCE_MS = 400;
const LONG_MS = 10_000;

/** Errors, and what cannot be shown: the text plainly, the details folded away. */
export function drawNotice(
  element: HTMLElement,
  view: View<CommonState>,
  problem: () => string = () => "",
): () => void {
  const text = el("p", "vw-notice-text");
  const detail = el("pre", "vw-notice-detail");
  const more = el("details", "vw-notice-more", {}, el("summary", "", {}, "Python message"), detail);
  element.classList.add("vw-notice");
  element.append(text, more);
  attribute(element, { role: "alert" });
  function draw(): void {
    const status = view.store.get("status");
    const unreadable = problem();
    const bad = status.state === "error" || status.state === "cannot";
    element.hidden = !bad && unreadable === "";
    attribute(element, { "data-state": unreadable ? "error" : status.state });
    setText(text, bad ? status.text : unreadable && `This data cannot be drawn: ${unreadable}.`);
    setText(detail, bad ? status.detail : "");
    more.hidden = detail.textContent === "";
  }
  view.paintOn(["status"], draw);
  return draw;
}

/** Whether what is on screen is what is selected. */
export interface Waiting {
  /** When the selection began to be without its picture; null while it has it. */
  since(): number | null;
  /** What the picture on screen is of, in words; "" while there is none. */
  shown(): string;
  on(changed: () => void): void;
}

export function waitingForAttention<S extends AttentionTraits>(view: AttentionView<S>): Waiting {
  const { attention } = view;
  return {
    since: () => (attention.shown() ? attention.waitingSince() : null),
    shown() {
      const shown = attention.shown();
      return shown ? tokenName(shown.picture.query, tokensOf(attention)) : "";
    },
    on: attention.on,
  };
}

/** What is going on, how far it is and for how long; or that Python does not answer. */
export function drawProgress<S extends CommonState>(
  element: HTMLElement,
  view: View<S>,
  waiting: Waiting,
): void {
  const { store, signal } = view;
  const text = el("span", "vw-progress-text");
  const fill = el("span", "vw-progress-fill");
  const bar = el(
    "span",
    "vw-progress-bar",
    { role: "progressbar", "aria-label": "progress" },
    fill,
  );
  element.classList.add("vw-progress");
  element.append(bar, text);
  let workingSince = 0;
  let timer = 0;

  function draw(): void {
    clearTimeout(timer);
    const status = store.get("status");
    const now = performance.now();
    const working = status.state === "working";
    if (!working) workingSince = 0;
    else workingSince ||= now;
    const shown = waiting.shown();
    const since = waiting.since();
    const waited = since === null ? 0 : now - since;
    const seconds = Math.floor((working ? now - workingSince : waited) / 1000);
    let words = "";
    if (working) words = `${status.text || "working"}${seconds >= 2 ? `, ${seconds} s` : ""}`;
    else if (waited >= LONG_MS && shown) {
      words = `Python has not answered for ${seconds} s; this is the picture of ${shown}`;
    } else if (waited >= PATIENCE_MS) words = "waiting for Python …";
    setText(text, words);
    element.hidden = words === "";
    const part = working ? status.progress : null;
    bar.hidden = part === null;
    if (part !== null) {
      fill.style.width = `${Math.round(100 * part)}%`;
      attribute(bar, { "aria-valuenow": Math.round(100 * part) });
    }
    if (!working && since === null) return;
    const next = working || waited >= PATIENCE_MS ? 1000 : PATIENCE_MS - waited + 1;
    timer = window.setTimeout(() => view.paint(draw), next);
  }
  signal.addEventListener("abort", () => clearTimeout(timer));
  waiting.on(() => view.paint(draw));
  view.paintOn(["status"], draw);
}

/** In place of a picture that is not there: one sentence and the line of code to run. */
export function drawBlank<S extends CommonState>(
  element: HTMLElement,
  view: View<S>,
  body: HTMLElement,
  nothing: () => boolean,
  line = "vw.inspect(model, images)",
): () => void {
  const { store } = view;
  const text = el("p", "vw-blank-text");
  const code = el("code", "vw-code", {}, line);
  element.classList.add("vw-blank");
  element.append(text, code);
  function draw(): void {
    const { state } = store.get("status");
    element.hidden = !nothing() || state === "cannot" || state === "error";
    body.hidden = nothing();
    setText(
      text,
      state === "working" ? "The first picture is on its way." : "Nothing to show yet.",
    );
    code.hidden = state === "working";
  }
  view.paintOn(["status"], draw);
  return draw;
}

/** Until there is attention or at least an image. */
export function drawBlankAttention<S extends CommonState & AttentionTraits>(
  element: HTMLElement,
  view: AttentionView<S>,
  body: HTMLElement,
): void {
  const { attention } = view;
  const nothing = () => attention.shown() === null && attention.image() === null;
  view.paintRow(drawBlank(element, view, body, nothing));
}
