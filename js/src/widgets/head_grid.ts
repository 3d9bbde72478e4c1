import { defineWidget } from "../binding";
import { el } from "../components/dom";
import { drawHeadGrid } from "../components/head_grid";
import { bindKeys } from "../components/keys";
import {
  drawBlankAttention,
  drawNotice,
  drawProgress,
  waitingForAttention,
} from "../components/status";
import { withAttention } from "../components/view";
import { headGridDefaults } from "../lib/state";

export default defineWidget("heads", headGridDefaults, (plain) => {
  const view = withAttention(plain);
  const [grid, blank, notice, progress] = [el("div"), el("div"), el("div"), el("div")];
  view.root.append(notice, blank, grid, progress);
  drawHeadGrid(grid, view);
  drawBlankAttention(blank, view, grid);
  const drawProblem = drawNotice(notice, view, view.attention.problem);
  view.attention.on(() => view.paint(drawProblem));
  drawProgress(progress, view, waitingForAttention(view));
  bindKeys(view);
});
