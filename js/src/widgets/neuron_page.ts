import { defineWidget } from "../binding";
import { el } from "../components/dom";
import { drawHeader } from "../components/header";
import { keyList } from "../components/keys";
import { drawNeuronFooter } from "../components/neuron_footer";
import { neuronImage } from "../components/neuron_image";
import { bindNeuronKeys, NEURON_KEYS } from "../components/neuron_keys";
import { drawNeuronPage, neuronDrawn } from "../components/neuron_page";
import { saveNeuronPng } from "../components/neuron_png";
import { drawBlank, drawNotice } from "../components/status";
import { neuronPageDefaults } from "../lib/state";

export default defineWidget("neurons", neuronPageDefaults, (view) => {
  const { root, store } = view;
  const [header, notice, blank, page, footer] = [
    el("header"),
    el("div"),
    el("div"),
    el("div"),
    el("footer"),
  ];
  const keys = keyList(NEURON_KEYS);
  const image = neuronImage(view);
  root.classList.add("vw-inspector");
  root.append(header, notice, blank, page, keys.element, footer);
  const { leave } = drawHeader(header, view, () => saveNeuronPng(view));
  drawNotice(notice, view);
  const nothing = () => store.get("neuron_counts").length === 0;
  view.paintOn(["neuron_counts"], drawBlank(blank, view, page, nothing));
  drawNeuronPage(page, view, image);
  drawNeuronFooter(footer, view, image, keys.toggle);
  bindNeuronKeys(view, { help: keys.toggle, escape: () => keys.close() || leave() });
  view.drawn.set(() => neuronDrawn(view));
});
