// The choice of what is explained: its kind, and the classes or the image that it needs.
import {
  type Explained,
  type ExplainedTraits,
  KINDS,
  type Kind,
  kindOf,
  numbersOf,
  withKind,
  withNumber,
} from "../lib/explained";
import type { TokenMaskState } from "../lib/state";
import { attribute, el, listen } from "./dom";
import type { View } from "./view";

type State = TokenMaskState & ExplainedTraits;

const PREDICTED = ""; // the option of the class that is predicted

export function drawExplained<S extends State>(element: HTMLElement, full: View<S>): void {
  const view = full as unknown as View<State>;
  const { store, signal } = view;
  const kind = el("select", "vw-menu", { "aria-label": "what is explained" });
  const first = el("select", "vw-menu");
  const between = el("span", "vw-muted", {}, "against");
  const other = el("select", "vw-menu", { "aria-label": "against" });
  element.classList.add("vw-explained");
  attribute(element, { role: "group", "aria-label": "explained" });
  element.append(el("span", "vw-title", {}, "Explained"), kind, first, between, other);

  const now = () => store.get("explained");
  const set = (explained: Explained) => store.set("explained", explained);
  function choose(): void {
    const [images, at] = [store.get("image_names").length, store.get("image_index")];
    set(withKind(now(), kind.value as Kind, (at + 1) % Math.max(1, images)));
  }
  listen(kind, "change", choose, signal);
  for (const [at, select] of [first, other].entries())
    listen(
      select,
      "change",
      () => set(withNumber(now(), at, select.value === PREDICTED ? null : Number(select.value))),
      signal,
    );

  function options(select: HTMLSelectElement, pairs: readonly [string, string][]): void {
    const key = JSON.stringify(pairs);
    if (select.dataset.options === key) return;
    select.dataset.options = key;
    select.replaceChildren(...pairs.map(([value, text]) => el("option", "", { value }, text)));
  }
  function draw(): void {
    const explained = now();
    const [what, numbers] = [kindOf(explained), numbersOf(explained)];
    const images = store.get("image_names");
    const classes = store.get("explained_classes");
    const kinds = KINDS.filter(({ value }) => value !== "embedding" || images.length > 1);
    const shown: [string, string][] = kinds.map(({ value, text }) => [value, text]);
    if (what === "function") shown.push([what, `function ${explained}`]);
    else if (!kinds.some(({ value }) => value === what)) shown.push([what, what]);
    options(kind, shown);
    kind.value = what;
    attribute(kind, { title: KINDS.find(({ value }) => value === what)?.title ?? "" });
    first.hidden = numbers.length < 1;
    other.hidden = between.hidden = numbers.length < 2;
    attribute(first, { "aria-label": what === "embedding" ? "image" : "class" });
    const of = what === "embedding" ? images : classes;
    const named: [string, string][] = of.map((name, i) => [String(i), `${i} · ${name}`]);
    numbers.forEach((number, at) => {
      const missing: [string, string][] =
        number !== null && number >= of.length ? [[String(number), String(number)]] : [];
      const any: [string, string][] =
        what === "class" || what === "embedding" ? [] : [[PREDICTED, "predicted"]];
      const select = at === 0 ? first : other;
      options(select, [...any, ...named, ...missing]);
      select.value = number === null ? PREDICTED : String(number);
    });
  }
  view.paintOn(["explained", "explained_classes", "image_names"], draw);
}
