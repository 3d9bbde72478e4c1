// Lists of other neurons: alike, active at the same patch, selective for a class, in this model only.
import { activation, grouped, nats } from "../lib/format";
import { chooseNeuron, isMarked, SELECTION, selectionOf, toggleMark } from "../lib/neuron";
import type { NeuronPageState } from "../lib/state";
import { attribute, el, listen, setText } from "./dom";
import { neuronList, paintAnswer, section } from "./neuron_answer";
import type { NeuronImage } from "./neuron_image";
import type { View } from "./view";

export function drawAlike(element: HTMLElement, view: View<NeuronPageState>): void {
  const { aside } = section(element, "Most like it");
  const list = neuronList(view, "neurons most like it");
  const note = el("p", "vw-note");
  element.append(list.element, note);
  paintAnswer(element, view, "alike", aside, ({ layer, neurons, note: said }) => {
    setText(aside, "same layer");
    list.draw(
      layer,
      neurons.map(({ neuron, r }) => ({ neuron, value: `r ${r.toFixed(2).replace("-", "−")}` })),
      "correlation over the images scanned",
    );
    setText(note, said);
    note.hidden = said === "";
  });
}

export function drawPatchNeurons(
  element: HTMLElement,
  view: View<NeuronPageState>,
  image: NeuronImage,
): void {
  const { title, aside } = section(element, "Most active at this patch");
  const list = neuronList(view, "neurons most active at this patch");
  const note = el("p", "vw-note");
  element.append(list.element, note);
  paintAnswer(
    element,
    view,
    "patch_neurons",
    aside,
    ({ layer, neurons, note: said }) => {
      setText(title, `Most active at ${image.queryName()}`);
      setText(aside, "");
      list.draw(
        layer,
        neurons.map(({ neuron, value }) => ({ neuron, value: activation(value) })),
        "activation at this token",
      );
      setText(note, said);
      note.hidden = said === "";
    },
    ["neuron_map"],
  );
}

export function drawSpecific(element: HTMLElement, view: View<NeuronPageState>): void {
  const { aside } = section(element, "Found in this model only");
  const list = neuronList(view, "neurons found in this model only");
  const note = el("p", "vw-note");
  element.append(list.element, note);
  paintAnswer(
    element,
    view,
    "specific",
    aside,
    ({ layer, neurons, measure }) => {
      const other = store.get("other_name");
      setText(aside, other ? `against ${other}` : "");
      list.draw(
        layer,
        neurons.map(({ neuron, overlap, entropy }) => ({
          neuron,
          value: `${Math.round(100 * overlap)} %${entropy === null ? "" : ` · ${nats(entropy, 1)}`}`,
        })),
        measure,
      );
      setText(note, measure);
      note.hidden = measure === "";
    },
    ["other_name"],
  );
  const { store } = view;
}

export function drawBookmarks(element: HTMLElement, view: View<NeuronPageState>): void {
  const { store, signal } = view;
  section(element, "Bookmarks");
  const chips = el("ul", "vw-bookmarks", { "aria-label": "bookmarks" });
  const empty = el("p", "vw-note", {}, "none yet: press b to keep this neuron");
  element.append(chips, empty);
  listen(
    chips,
    "click",
    (event) => {
      const chip = event.target instanceof Element ? event.target.closest("[data-neuron]") : null;
      if (!chip) return;
      const [layer, neuron] = ["data-layer", "data-neuron"].map((key) =>
        Number(chip.getAttribute(key)),
      );
      if (chip.hasAttribute("data-remove"))
        store.set("bookmarks", toggleMark(store.get("bookmarks"), layer, neuron));
      else chooseNeuron(store, neuron, layer);
    },
    signal,
  );
  view.paintOn([...SELECTION, "bookmarks"], () => {
    const now = selectionOf(store);
    const marks = store.get("bookmarks");
    empty.hidden = marks.length > 0;
    chips.hidden = marks.length === 0;
    chips.replaceChildren(
      ...marks.map(([layer, neuron]) => {
        const at = { type: "button", "data-layer": layer, "data-neuron": neuron };
        const name = `layer ${layer}, neuron ${grouped(neuron)}`;
        const go = el("button", "vw-chip", at, `${layer} · ${grouped(neuron)}`);
        attribute(go, {
          "aria-label": name,
          "aria-pressed": String(isMarked([[now.layer, now.neuron]], layer, neuron)),
        });
        const remove = el("button", "vw-pin-close", { ...at, "data-remove": true }, "×");
        attribute(remove, { "aria-label": `forget ${name}` });
        return el("li", "vw-bookmark", {}, go, remove);
      }),
    );
  });
}
