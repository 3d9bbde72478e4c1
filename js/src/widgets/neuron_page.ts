import { defineWidget } from "../binding";
import { el } from "../components/dom";
import { drawHeader } from "../components/header";
import { drawNeuronTab } from "../components/neuron_tab";
import { drawBlank, drawNotice } from "../components/status";
import { neuronPageDefaults } from "../lib/state";

export default defineWidget("neurons", neuronPageDefaults, (view) => {
  const { root, store } = view;
  const [header, notice, blank, page] = [el("header"), el("div"), el("div"), el("div")];
  root.classList.add("vw-inspector");
  root.append(header, notice, blank, page);
  const { leave } = drawHeader(header, view, () => tab.savePng());
  drawNotice(notice, view);
  const nothing = () => store.get("neuron_counts").length === 0;
  view.paintOn(["neuron_counts"], drawBlank(blank, view, page, nothing));
  const tab = drawNeuronTab(page, view, leave);
  view.drawn.set(tab.drawn);
});
