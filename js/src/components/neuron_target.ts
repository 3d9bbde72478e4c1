// The class that neurons are asked about: typed, found among a thousand, and the neurons for it.
import { activation } from "../lib/format";
import { matching } from "../lib/neuron";
import type { NeuronPageState } from "../lib/state";
import { attribute, el, listen, setNote } from "./dom";
import { neuronList, paintAnswer, section } from "./neuron_answer";
import type { View } from "./view";

const MOST_OPTIONS = 8;

export function drawClassNeurons(element: HTMLElement, view: View<NeuronPageState>): void {
  section(element, "Most selective for a class");
  const choice = el("div");
  const answer = el("div");
  const list = neuronList(view, "neurons most selective for the class");
  const note = el("p", "vw-note");
  answer.append(list.element, note);
  element.append(choice, answer);
  drawTargetBox(choice, view);
  paintAnswer(answer, view, "class_neurons", ({ layer, neurons, label, measure }) => {
    list.draw(
      layer,
      neurons.map(({ neuron, value }) => ({ neuron, value: activation(value) })),
      measure,
    );
    setNote(note, measure && label ? `${label} · ${measure}` : measure);
  });
  view.paintOn(["class_names", "class_neurons"], () => {
    const nothing = Object.keys(view.store.get("class_neurons")).length === 0;
    element.hidden = view.store.get("class_names").length === 0 && nothing;
  });
}

/** An editable combobox with a list (WAI-ARIA 1.2). */
function drawTargetBox(element: HTMLElement, view: View<NeuronPageState>): void {
  const { store, signal } = view;
  const id = `vw-classes-${Math.random().toString(36).slice(2)}`;
  const input = el("input", "vw-text-box", {
    type: "text",
    role: "combobox",
    "aria-label": "class",
    "aria-expanded": "false",
    "aria-autocomplete": "list",
    "aria-controls": id,
    autocomplete: "off",
    spellcheck: "false",
  });
  const options = el("ul", "vw-options", { role: "listbox", id, "aria-label": "classes" });
  options.hidden = true;
  element.classList.add("vw-combobox");
  element.append(input, options);
  let found: number[] = [];
  let at = 0;

  const nameOf = (target: number) => store.get("class_names")[target] ?? "";
  const open = () => !options.hidden;
  function close(): void {
    options.hidden = true;
    attribute(input, { "aria-expanded": "false", "aria-activedescendant": null });
  }
  function show(typed: string): void {
    found = matching(store.get("class_names"), typed, MOST_OPTIONS);
    at = 0;
    options.replaceChildren(
      ...(found.length
        ? found.map((target, i) =>
            el(
              "li",
              "vw-option",
              { role: "option", id: `${id}-${i}`, "data-at": i },
              nameOf(target),
            ),
          )
        : [el("li", "vw-option vw-muted", {}, "no class of this name")]),
    );
    options.hidden = false;
    attribute(input, { "aria-expanded": "true" });
    mark();
  }
  function mark(): void {
    [...options.children].forEach((option, i) => {
      if (found.length) attribute(option, { "aria-selected": String(i === at) });
    });
    attribute(input, { "aria-activedescendant": found.length ? `${id}-${at}` : null });
  }
  function choose(): void {
    const target = found[at];
    close();
    if (target !== undefined) store.set("target", target);
    input.value = nameOf(store.get("target"));
  }
  listen(input, "focus", () => input.select(), signal);
  listen(input, "input", () => show(input.value), signal);
  listen(input, "click", () => open() || show(""), signal);
  listen(
    input,
    "blur",
    () => {
      close();
      input.value = nameOf(store.get("target"));
    },
    signal,
  );
  listen(
    input,
    "keydown",
    (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (by !== undefined) {
        if (!open()) show("");
        else {
          at = Math.max(0, Math.min(found.length - 1, at + by));
          mark();
        }
      } else if (event.key === "Enter" && open()) choose();
      else if (event.key === "Escape" && open()) {
        close();
        input.value = nameOf(store.get("target"));
      } else return;
      event.preventDefault();
      event.stopPropagation();
    },
    signal,
  );
  // before the box loses the focus
  listen(
    options,
    "pointerdown",
    (event) => {
      event.preventDefault();
      const option = event.target instanceof Element ? event.target.closest("[data-at]") : null;
      if (!option) return;
      at = Number(option.getAttribute("data-at"));
      choose();
    },
    signal,
  );
  view.paintOn(["target", "class_names"], () => {
    element.hidden = store.get("class_names").length === 0;
    if (!open()) input.value = nameOf(store.get("target"));
  });
}
