// Tabs switch the question, never the selection (WAI-ARIA tabs; digits choose as well).
import { attribute, el, hasFocus, listen } from "./dom";
import { TYPED } from "./keys";
import type { View } from "./view";

export interface TabPanel<T extends string> {
  value: T;
  text: string;
  panel: HTMLElement;
  /** Whether there is anything to open. */
  exists(): boolean;
}

/** `keys` are the traits that decide which tabs exist. With one tab there is nothing to choose. */
export function drawTabs<S, K extends keyof S, T extends S[K] & string>(
  element: HTMLElement,
  view: View<S>,
  key: K,
  panels: readonly TabPanel<T>[],
  keys: readonly (keyof S)[],
): void {
  const { root, store, signal } = view;
  const id = `vw-tab-${Math.random().toString(36).slice(2)}`;
  element.classList.add("vw-tabs");
  attribute(element, { role: "tablist", "aria-label": "questions" });
  const tabs = panels.map(({ value, text, panel }, i) => {
    const tab = el("button", "vw-tab", { type: "button", role: "tab", id: `${id}-${i}` }, text);
    attribute(tab, { "aria-controls": `${id}-panel-${i}`, "data-tab": value });
    attribute(panel, {
      id: `${id}-panel-${i}`,
      role: "tabpanel",
      "aria-labelledby": `${id}-${i}`,
    });
    listen(tab, "click", () => store.set(key, value), signal);
    return tab;
  });
  element.append(...tabs);

  const there = () => panels.filter(({ exists }) => exists());
  function move(to: TabPanel<T> | undefined): boolean {
    if (!to) return false;
    store.set(key, to.value);
    return true;
  }
  function run(event: KeyboardEvent): boolean {
    const open = there();
    const at = open.findIndex(({ value }) => value === store.get(key));
    if (element.contains(event.target as Node)) {
      const next = {
        ArrowRight: (at + 1) % open.length,
        ArrowLeft: (at + open.length - 1) % open.length,
        Home: 0,
        End: open.length - 1,
      }[event.key];
      if (next !== undefined) return move(open[next]);
    }
    return /^[1-9]$/.test(event.key) && open.length > 1 && move(open[Number(event.key) - 1]);
  }
  listen(
    root,
    "keydown",
    (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target instanceof Element && event.target.closest(TYPED)) return;
      if (!run(event)) return;
      event.preventDefault();
      event.stopPropagation();
    },
    signal,
  );

  view.paintOn([key, ...keys], () => {
    const now = openTab(panels, store.get(key) as string);
    const inside = hasFocus(element);
    element.hidden = there().length < 2;
    panels.forEach(({ value, panel, exists }, i) => {
      const chosen = value === now;
      panel.hidden = !chosen;
      tabs[i].hidden = !exists();
      attribute(tabs[i], { "aria-selected": String(chosen), tabindex: chosen ? 0 : -1 });
      if (chosen && inside) tabs[i].focus({ preventScroll: true });
    });
  });
}

/** The tab that is chosen, or the first where that one does not exist. */
export function openTab<T extends string>(
  panels: readonly Pick<TabPanel<T>, "value" | "exists">[],
  chosen: string,
): T {
  return (panels.find(({ value, exists }) => value === chosen && exists()) ?? panels[0]).value;
}
