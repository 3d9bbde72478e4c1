// A choice among two or three, all in sight: native radio buttons, drawn as one control.
import { el, listen } from "./dom";
import type { View } from "./view";

export function segmented<S, K extends keyof S>(
  view: Pick<View<S>, "store" | "signal" | "paintOn">,
  key: K,
  label: string,
  choices: readonly { value: S[K] & string; text: string; title?: string }[],
): HTMLElement {
  const name = `vw-${Math.random().toString(36).slice(2)}`;
  const group = el("div", "vw-segmented", { role: "radiogroup", "aria-label": label });
  const inputs = choices.map(({ value, text, title }) => {
    const input = el("input", "vw-segment-input", { type: "radio", name, value });
    listen(input, "change", () => view.store.set(key, value), view.signal);
    group.append(
      el("label", "vw-segment", { title }, input, el("span", "vw-segment-text", {}, text)),
    );
    return input;
  });
  view.paintOn([key], () => {
    for (const input of inputs) input.checked = input.value === view.store.get(key);
  });
  return group;
}
