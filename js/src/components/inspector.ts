// One page for all questions: a header, a tab for each, a footer. All parts share one store, so the
// selection stays when the question changes; a tab is made when it is opened for the first time.
import type { InspectorState, NeuronPageState, Tab } from "../lib/state";
import { drawAttentionTab } from "./attention_tab";
import { attribute, el } from "./dom";
import { drawHeader } from "./header";
import { drawNeuronTab } from "./neuron_tab";
import { drawNotice } from "./status";
import { drawTabs, openTab, type TabPanel } from "./tabs";
import { type View, whileOpen } from "./view";

/** What the page asks of the tab that is open. */
export interface OpenTab {
  /** What is on screen, for `data-drawn`. */
  drawn(): string;
  /** Why the data cannot be read, or nothing. */
  problem(): string;
  savePng(): Promise<void>;
}

const TAB_TRAITS = ["tab", "tabs", "neuron_counts"] as const;

export function drawInspector(element: HTMLElement, view: View<InspectorState>): void {
  const { store, signal } = view;
  const [header, bar, notice] = [el("header"), el("div"), el("div")];
  const panels: TabPanel<Tab>[] = [
    { value: "attention", text: "Attention", panel: el("div"), exists: () => true },
    {
      value: "neurons",
      text: "Neurons",
      panel: el("div"),
      exists: () => store.get("tabs").includes("neurons") || store.get("neuron_counts").length > 0,
    },
  ];
  element.classList.add("vw-inspector");
  element.append(header, bar, notice, ...panels.map(({ panel }) => panel));

  const made: Partial<Record<Tab, OpenTab>> = {};
  const now = (): Tab => openTab(panels, store.get("tab"));
  const { leave } = drawHeader(
    header,
    view,
    () => made[now()]?.savePng() ?? Promise.reject(new Error("nothing is open")),
  );
  drawTabs(bar, view, "tab", panels, TAB_TRAITS);
  const drawProblem = drawNotice(notice, view, () => made[now()]?.problem() ?? "");

  function make(tab: Tab): OpenTab {
    const own = whileOpen(view, TAB_TRAITS, () => now() === tab);
    const panel = panels.find(({ value }) => value === tab)?.panel as HTMLElement;
    if (tab === "neurons")
      return drawNeuronTab(panel, own as unknown as View<NeuronPageState>, leave);
    return drawAttentionTab(panel, own, leave, drawProblem);
  }
  function open(): void {
    made[now()] ??= make(now());
    view.drawn.set(() => made[now()]?.drawn() ?? "");
  }
  for (const key of TAB_TRAITS) store.on(key, open, signal);
  open();

  view.paintOn(["status", "layer_labels", ...TAB_TRAITS], () => {
    const { state } = store.get("status");
    attribute(element, { "data-state": state, "data-layers": store.get("layer_labels").length });
    drawProblem();
  });
}
