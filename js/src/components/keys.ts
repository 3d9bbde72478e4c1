// The keys of a whole widget, for as long as the focus is inside it.
import type { AttentionTraits } from "../lib/attention";
import { clampIndex } from "../lib/geometry";
import { type Command, command, type Focus, moveHead } from "../lib/keyboard";
import { orderHeads } from "../lib/order";
import { one, togglePin } from "../lib/selection";
import type { Sort } from "../lib/state";
import { attribute, el, listen } from "./dom";
import type { AttentionView, View } from "./view";

type KeyTraits = AttentionTraits & { sort?: Sort; pins?: number[]; image_names?: string[] };

/** What has keys of its own, and where what is typed is text. */
export const CONTROLS = "input, select, textarea, button, summary, a";
export const TYPED = "input:not([type=range], [type=radio], [type=checkbox]), select, textarea";

/** `escape` is asked when there is no selection to clear, `help` on "?"; true: handled. */
export function bindKeys<S extends KeyTraits>(
  view: AttentionView<S>,
  own: { escape?: () => boolean; help?: () => boolean } = {},
): void {
  const { root, signal, attention } = view;
  const store = view.store as unknown as AttentionView<KeyTraits>["store"];

  function focusOf(target: EventTarget | null): Focus {
    if (!(target instanceof Element)) return "elsewhere";
    if (target.closest("[data-focus=picture]")) return "picture";
    return target.closest(CONTROLS) ? "control" : "elsewhere";
  }

  function run(task: Command): boolean {
    const shown = attention.shown();
    switch (task.kind) {
      case "help":
        return own.help?.() ?? false;
      case "clear":
        return clear();
      case "image": {
        const names = store.get("image_names");
        if (!names || names.length < 2) return false;
        store.set("image_index", clampIndex(store.get("image_index") + task.by, names.length));
        return true;
      }
      case "pin": {
        const pins = store.get("pins");
        const layer = shown?.layer?.kind === "image" ? shown.layer : null;
        if (!pins || !layer || layer.only || !shown?.picture.packet.queries) return false;
        store.set("pins", togglePin(pins, store.get("query")));
        return true;
      }
      case "layer": {
        if (!shown) return false;
        const count = shown.picture.packet.layers.length;
        store.set("layer", clampIndex(shown.layerIndex + task.by, count));
        return true;
      }
      case "head": {
        if (!shown?.layer) return false;
        const order = orderHeads(shown.layer, shown.picture.row, store.get("sort") ?? "head");
        store.update(one(moveHead(shown.head, task.by, order)));
        return true;
      }
      case "query":
        return false; // the picture takes these itself
    }
  }

  function clear(): boolean {
    if (own.escape?.()) return true;
    if (store.get("pins")?.length) {
      store.set("pins", []);
      return true;
    }
    if (store.get("heads").length) {
      store.set("heads", []);
      return true;
    }
    return false;
  }

  listen(
    root,
    "keydown",
    (event) => {
      if (event.defaultPrevented || !view.open()) return;
      const task = command(event, focusOf(event.target));
      if (!task || !run(task)) return;
      event.preventDefault();
      event.stopPropagation();
    },
    signal,
  );
}

/** Hands keys to a page for as long as the focus is inside it; `run` says whether it took one. */
export function onKeys<S>(view: View<S>, run: (key: string, control: boolean) => boolean): void {
  const { root, signal } = view;
  listen(
    root,
    "keydown",
    (event) => {
      if (event.defaultPrevented || !view.open()) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target instanceof Element ? event.target : root;
      if (target.closest(TYPED)) return;
      if (!run(event.key, target.closest(CONTROLS) !== null)) return;
      event.preventDefault();
      event.stopPropagation();
    },
    signal,
  );
}

export const ATTENTION_KEYS: readonly [keys: string, meaning: string][] = [
  ["← →", "head"],
  ["↑ ↓", "layer"],
  ["arrows on the image", "query patch, and the tokens above it"],
  ["click, Space", "pin the query; again to unpin"],
  ["Shift + ← →, Ctrl + click", "several heads: their mean"],
  ["[ ]", "image"],
  ["Esc", "clear pins, then heads"],
  ["?", "this list"],
];

/** The list of keys, opened with "?". */
export function keyList(lists: readonly [keys: string, meaning: string][]): {
  element: HTMLElement;
  toggle(): boolean;
  close(): boolean;
} {
  const element = el(
    "dl",
    "vw-keys",
    { hidden: true, "aria-label": "keys" },
    ...lists.flatMap(([keys, meaning]) => [el("dt", "", {}, keys), el("dd", "", {}, meaning)]),
  );
  return {
    element,
    toggle() {
      attribute(element, { hidden: !element.hidden });
      return true;
    },
    close() {
      const open = !element.hidden;
      attribute(element, { hidden: true });
      return open;
    },
  };
}

/** The keys that are used most, and a button for all of them. */
export function keyHints(
  hints: readonly (readonly [key: string, meaning: string])[],
  help: () => void,
  signal: AbortSignal,
): HTMLElement[] {
  const keys = el("div", "vw-key-hints", { "aria-hidden": "true" });
  for (const [key, meaning] of hints)
    keys.append(el("span", "", {}, el("b", "", {}, key), ` ${meaning}`));
  const more = el("button", "vw-action", { type: "button", title: "all keys" }, "? keys");
  listen(more, "click", help, signal);
  return [keys, more];
}
