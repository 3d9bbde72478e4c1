// The name of the model, what it is, and what can be done with the view.
import { fillCode } from "../lib/code";
import type { PageState } from "../lib/state";
import { copyText } from "./clipboard";
import { attribute, el, listen, setText } from "./dom";
import type { View } from "./view";

const SAID_MS = 1600;

/** `savePng` saves a picture of what is on screen. */
export function drawHeader<S extends PageState>(
  element: HTMLElement,
  view: View<S>,
  savePng: () => Promise<void>,
): { leave(): boolean } {
  const { store, signal, root } = view;
  const title = el("span", "vw-model");
  const subtitle = el("span", "vw-muted vw-subtitle");
  const actions = el("div", "vw-actions");
  element.classList.add("vw-header");
  element.append(el("div", "vw-heading", {}, title, subtitle), actions);

  function action(text: string, about: string, run: (button: HTMLButtonElement) => void) {
    const button = el("button", "vw-action", { type: "button", title: about }, text);
    listen(button, "click", () => run(button), signal);
    actions.append(button);
    return button;
  }
  let timer = 0;
  signal.addEventListener("abort", () => clearTimeout(timer));
  function say(button: HTMLButtonElement, text: string, usual: string): void {
    setText(button, text);
    clearTimeout(timer);
    timer = window.setTimeout(() => setText(button, usual), SAID_MS);
  }

  const copy = action("Copy as Python", "the lines that make this view again", async (button) => {
    const lines = fillCode(store.get("code"), (name) => store.get(name as keyof S));
    const done = await copyText(lines, root);
    say(button, done ? "Copied" : "Not allowed here", "Copy as Python");
  });
  action("PNG", "save a picture of what is shown", (button) => {
    savePng().then(
      () => say(button, "Saved", "PNG"),
      () => say(button, "Not possible", "PNG"),
    );
  });
  const expand = action("Expand", "use the whole window", () => (expanded() ? leave() : enter()));

  // In the page first, so that it works everywhere; the whole screen where the host allows it.
  const expanded = () => root.hasAttribute("data-expanded");
  function enter(): void {
    attribute(root, { "data-expanded": true });
    setText(expand, "Close");
    root.requestFullscreen?.().catch(() => undefined);
  }
  function leave(): boolean {
    if (!expanded()) return false;
    attribute(root, { "data-expanded": false });
    setText(expand, "Expand");
    if (document.fullscreenElement) document.exitFullscreen().catch(() => undefined);
    return true;
  }
  listen(
    root,
    "fullscreenchange",
    () => {
      if (!document.fullscreenElement) leave();
    },
    signal,
  );

  view.paintOn(["title", "subtitle", "code"], () => {
    setText(title, store.get("title"));
    setText(subtitle, store.get("subtitle"));
    attribute(subtitle, { title: store.get("subtitle") });
    copy.hidden = store.get("code") === "";
  });
  return { leave };
}
