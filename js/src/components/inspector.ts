// One page for all questions: a header, a tab for each, a footer. All parts share one store, so the
// selection stays when the question changes.
import type { InspectorState, NeuronPageState, Tab } from "../lib/state";
import { drawAttentionTab } from "./attention_tab";
import { attribute, el } from "./dom";
import { drawFooter } from "./footer";
import { drawHeader } from "./header";
import { ATTENTION_KEYS, bindKeys, keyList } from "./keys";
import { drawNeuronFooter } from "./neuron_footer";
import { neuronImage } from "./neuron_image";
import { bindNeuronKeys, NEURON_KEYS } from "./neuron_keys";
import { drawNeuronPage, neuronDrawn } from "./neuron_page";
import { saveNeuronPng } from "./neuron_png";
import { savePng } from "./png";
import { drawBlankAttention, drawNotice } from "./status";
import { drawTabs, openTab, type TabPanel } from "./tabs";
import { type View, whileOpen, withAttention } from "./view";

const TAB_TRAITS = ["tab", "tabs", "neuron_counts"] as const;

export function drawInspector(element: HTMLElement, view: View<InspectorState>): void {
  const { store } = view;
  const [header, bar, notice, blank] = [el("header"), el("div"), el("div"), el("div")];
  const [attentionTab, neuronTab] = [el("div"), el("div", "vw-neuron-tab")];
  const columns = el("div", "vw-columns");
  const [footer, neuronFooter] = [el("footer"), el("footer")];
  const tabs: TabPanel<Tab>[] = [
    { value: "attention", text: "Attention", panel: attentionTab, exists: () => true },
    {
      value: "neurons",
      text: "Neurons",
      panel: neuronTab,
      exists: () => store.get("tabs").includes("neurons") || store.get("neuron_counts").length > 0,
    },
  ];
  const open = () => openTab(tabs, store.get("tab"));
  const attention = withAttention(whileOpen(view, TAB_TRAITS, () => open() === "attention"));
  const neurons = whileOpen(view, TAB_TRAITS, () => open() === "neurons");
  const neuronView = neurons as unknown as View<NeuronPageState>;
  const keys = keyList(ATTENTION_KEYS);
  const neuronKeys = keyList(NEURON_KEYS);
  element.classList.add("vw-inspector");
  element.append(header, bar, notice, attentionTab, neuronTab);

  const { leave } = drawHeader(header, view, () =>
    open() === "neurons" ? saveNeuronPng(neuronView) : savePng(attention),
  );
  drawTabs(bar, view, "tab", tabs, ["tabs", "neuron_counts"]);
  const drawProblem = drawNotice(notice, view, attention.attention.problem);
  attention.attention.on(() => view.paint(drawProblem));

  attentionTab.append(blank, columns, keys.element, footer);
  drawBlankAttention(blank, attention, columns);
  drawAttentionTab(columns, attention);
  drawFooter(footer, attention, keys.toggle);
  bindKeys(attention, { help: keys.toggle, escape: () => keys.close() || leave() });

  const page = el("div");
  const image = neuronImage(neuronView);
  neuronTab.append(page, neuronKeys.element, neuronFooter);
  drawNeuronPage(page, neuronView, image);
  drawNeuronFooter(neuronFooter, neuronView, image, neuronKeys.toggle);
  bindNeuronKeys(neuronView, {
    help: neuronKeys.toggle,
    escape: () => neuronKeys.close() || leave(),
  });

  const attentionDrawn = view.drawn.get();
  view.drawn.set(() => (open() === "neurons" ? neuronDrawn(neuronView) : attentionDrawn()));
  view.paintOn(["status", "layer_labels"], () => {
    const { state } = store.get("status");
    attribute(element, { "data-state": state, "data-layers": store.get("layer_labels").length });
  });
}
