// The neuron page with its footer and keys: alone, or behind a tab.
import type { NeuronPageState } from "../lib/state";
import { el } from "./dom";
import type { OpenTab } from "./inspector";
import { keyList } from "./keys";
import { drawNeuronFooter } from "./neuron_footer";
import { neuronImage } from "./neuron_image";
import { bindNeuronKeys, NEURON_KEYS } from "./neuron_keys";
import { drawNeuronPage, neuronDrawn } from "./neuron_page";
import { saveNeuronPng } from "./neuron_png";
import type { View } from "./view";

/** `leave` is asked, on Escape, when there is nothing to close here. */
export function drawNeuronTab(
  element: HTMLElement,
  view: View<NeuronPageState>,
  leave: () => boolean,
): OpenTab {
  const [page, footer] = [el("div"), el("footer")];
  const keys = keyList(NEURON_KEYS);
  const image = neuronImage(view);
  element.append(page, keys.element, footer);
  drawNeuronPage(page, view, image);
  drawNeuronFooter(footer, view, image, keys.toggle);
  bindNeuronKeys(view, { help: keys.toggle, escape: () => keys.close() || leave() });
  return {
    drawn: () => neuronDrawn(view),
    problem: () => "",
    savePng: () => saveNeuronPng(view),
  };
}
