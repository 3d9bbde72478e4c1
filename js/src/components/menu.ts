// A choice among many: a native menu that reads as text.
import { el, listen } from "./dom";
import type { View } from "./view";

export function menu<S, K extends keyof S>(
  view: Pick<View<S>, "store" | "signal" | "paintOn">,
  key: K,
  label: string,
  choices: readonly { value: S[K] & string; text: string }[],
): HTMLSelectElement {
  const select = el(
    "select",
    "vw-menu",
    { "aria-label": label },
    ...choices.map(({ value, text }) => el("option", "", { value }, text)),
  );
  listen(select, "change", () => view.store.set(key, select.value as S[K] & string), view.signal);
  view.paintOn([key], () => {
    select.value = String(view.store.get(key));
  });
  return select;
}
