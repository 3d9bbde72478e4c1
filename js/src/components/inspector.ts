// One page for all questions: a header, a tab for each, a footer. All parts share one store, so the
// selection stays when the question changes; a tab is made when it is opened for the first time.
import {
  type InspectorState,
  type NeuronPageState,
  type Tab,
  TOKEN_TABS,
  type TokenTab,
} from "../lib/state";
import { drawAttentionTab } from "./attention_tab";
import { attribute, el } from "./dom";
import { drawHeader } from "./header";
import { drawNeuronTab } from "./neuron_tab";
import { drawNotice } from "./status";
import { importSource, type TabModule } from "./tab_module";
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

const TOKEN_TITLES: Record<TokenTab, string> = {
  features: "Patch features",
  views: "Views",
  scatter: "Embedding",
  clusters: "Clusters",
  depth: "Norms and layers",
  heads: "Heads",
  attribution: "Attribution",
};

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
    ...TOKEN_TABS.map((value) => ({
      value,
      text: TOKEN_TITLES[value],
      panel: el("div"),
      exists: () => store.get("tabs").includes(value),
    })),
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

  function open(): void {
    if (!made[now()]) make(now());
    view.drawn.set(() => made[now()]?.drawn() ?? "");
    view.paint(drawProblem);
  }
  function make(tab: Tab): void {
    const panel = panels.find(({ value }) => value === tab)?.panel as HTMLElement;
    if (tab === "attention") made[tab] = drawAttentionTab(panel, viewOf(tab), leave, drawProblem);
    else if (tab === "neurons")
      made[tab] = drawNeuronTab(panel, viewOf(tab) as unknown as View<NeuronPageState>, leave);
    else fetchTab(tab, panel);
  }
  const viewOf = (tab: Tab) => whileOpen(view, TAB_TRAITS, () => now() === tab);
  /** Opens again when the code of a tab has come. */
  function fetchTab(tab: TokenTab, panel: HTMLElement): void {
    const source = store.get("tab_code")[tab];
    const say = (text: string) =>
      panel.replaceChildren(el("p", "vw-blank-text", { role: "status" }, text));
    say(source ? "Opening." : "Python sends this page when it is opened for the first time.");
    if (!source) return;
    importSource<TabModule<InspectorState>>(source).then(
      ({ drawTab }) => {
        if (signal.aborted || made[tab]) return;
        panel.replaceChildren();
        made[tab] = drawTab(panel, viewOf(tab), leave);
        open();
      },
      (error: Error) => say(`This page could not be opened: ${error.message}`),
    );
  }
  for (const key of [...TAB_TRAITS, "tab_code"] as const) store.on(key, open, signal);
  open();

  view.paintOn(["status", "layer_labels", ...TAB_TRAITS], () => {
    const { state } = store.get("status");
    attribute(element, { "data-state": state, "data-layers": store.get("layer_labels").length });
    drawProblem();
  });
}
