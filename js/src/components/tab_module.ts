// A tab whose code comes when it is first opened: the module of the widget that it is alone.
import type { OpenTab } from "./inspector";
import type { View } from "./view";

/** What the module of such a widget exports beside anywidget's own `default`. */
export interface TabModule<S> {
  /** `leave` is asked, on Escape, when there is nothing to close here. */
  drawTab(element: HTMLElement, view: View<S>, leave: () => boolean): OpenTab;
}

const modules = new Map<string, Promise<unknown>>();

/** Imports a module from its source, once, as anywidget itself does. */
export function importSource<T>(source: string): Promise<T> {
  let found = modules.get(source);
  if (!found) {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    found = import(url).finally(() => URL.revokeObjectURL(url));
    modules.set(source, found);
  }
  return found as Promise<T>;
}
