// The only file that knows anywidget: binds a store to the traits of a model, and ends with the view.

import { el } from "./components/dom";
import { createView, type View } from "./components/view";
import { type CommonState, PROTOCOL } from "./lib/state";
import { type Store, same } from "./lib/store";

/** What is used of the model that anywidget hands over. */
interface Model {
  get(key: string): unknown;
  set(key: string, value: unknown): void;
  save_changes(): void;
  on(event: string, changed: () => void): void;
  off(event: string, changed: () => void): void;
}

interface RenderProps {
  model: Model;
  el: HTMLElement;
  /** Newer hosts end a view with a signal, older ones call what `render` returned. */
  signal?: AbortSignal;
}

export function modelStore<S extends object>(model: Model, defaults: S): Store<S> {
  const get = <K extends keyof S>(key: K): S[K] => {
    const value = model.get(key as string) as S[K] | undefined;
    return value === undefined ? defaults[key] : value;
  };
  function update(values: Partial<S>): void {
    const changes = Object.entries(values).filter(([key, v]) => !same(get(key as keyof S), v));
    if (changes.length === 0) return;
    for (const [key, value] of changes) model.set(key, value);
    try {
      model.save_changes();
    } catch {
      // no kernel to save to: the page goes on with what it has
    }
  }
  return {
    get,
    update,
    set: (key, value) => update({ [key]: value } as unknown as Partial<S>),
    on(key, changed, signal) {
      if (signal.aborted) return;
      let last = get(key);
      // an echo of what is already shown is not a change
      const heard = () => {
        const now = get(key);
        if (same(last, now)) return;
        last = now;
        changed();
      };
      const event = `change:${String(key)}`;
      model.on(event, heard);
      signal.addEventListener("abort", () => model.off(event, heard));
    },
  };
}

export function defineWidget<S extends CommonState>(
  name: string,
  defaults: S,
  draw: (view: View<S>) => void,
): { render(props: RenderProps): () => void } {
  return {
    render({ model, el: host, signal }) {
      const ending = new AbortController();
      const end = () => ending.abort();
      signal?.addEventListener("abort", end, { once: true });
      const store = modelStore(model, defaults);
      const view = createView(host, store, ending.signal, name);
      const protocol = store.get("protocol");
      if (protocol === PROTOCOL) draw(view);
      else view.root.append(otherProtocol(protocol));
      return end;
    },
  };
}

function otherProtocol(theirs: number): HTMLElement {
  const text =
    `This page speaks version ${PROTOCOL} of the vit_widgets protocol, Python version ${theirs}. ` +
    "Reload the page; if that does not help, install one version of vit_widgets and restart the kernel.";
  return el(
    "div",
    "vw-notice",
    { role: "alert", "data-state": "error" },
    el("p", "vw-notice-text", {}, text),
  );
}
