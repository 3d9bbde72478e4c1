// A page about tokens alone: a header, notices, and the page that is a tab of the Inspector.
import { defineWidget } from "../binding";
import type { TokenPageState } from "../lib/state";
import { isPacked } from "../lib/wire";
import { el } from "./dom";
import { drawHeader } from "./header";
import { drawBlank, drawNotice } from "./status";
import type { TabModule } from "./tab_module";

export function defineTokenWidget<S extends TokenPageState>(
  name: string,
  defaults: S,
  drawTab: TabModule<S>["drawTab"],
) {
  return defineWidget(name, defaults, (view) => {
    const { root, store } = view;
    const [header, notice, blank, page] = [el("header"), el("div"), el("div"), el("div")];
    root.classList.add("vw-inspector");
    root.append(header, notice, blank, page);
    const { leave } = drawHeader(header, view, () => tab.savePng());
    const tab = drawTab(page, view, leave);
    drawNotice(notice, view, tab.problem);
    const nothing = () => !isPacked(store.get("image"));
    view.paintOn(["image"], drawBlank(blank, view, page, nothing));
    view.drawn.set(tab.drawn);
  });
}
