// The norms of the layer in view as a histogram, and a handle for the threshold above which a patch
// stands out: a native slider over the bars, so that it is dragged, stepped and read out.
import { countOf, histogram, type NormScale, normScale } from "../lib/depth";
import { plain } from "../lib/format";
import type { TokenDepthState } from "../lib/state";
import type { DepthModel } from "./depth_model";
import { DEPTH_KEYS } from "./depth_model";
import { attribute, el, listen, setText } from "./dom";
import type { View } from "./view";

const BINS = 36;
const STEPS = 400;

export function drawDepthHistogram(
  element: HTMLElement,
  view: View<TokenDepthState>,
  model: DepthModel,
): void {
  const { store, signal } = view;
  const bars = el("div", "vw-histogram", { role: "img" });
  const line = el("div", "vw-depth-threshold", { "aria-hidden": "true" });
  const handle = el("input", "vw-range vw-depth-handle", {
    type: "range",
    min: 0,
    max: STEPS,
    step: 1,
    "aria-label": "threshold of norms",
  });
  const [low, middle, high] = [el("span"), el("span", "vw-accent"), el("span")];
  const back = el("button", "vw-action vw-small", { type: "button" }, "median + 10 deviations");
  const said = el("p", "vw-note", { role: "status" });
  element.classList.add("vw-depth-histogram");
  element.append(
    el("div", "vw-depth-plot", {}, bars, line, handle),
    el("div", "vw-row vw-muted vw-small vw-number", {}, low, middle, high),
    el("div", "vw-row", {}, said, back),
  );
  // it holds still while it is dragged: a range that follows the threshold would run away from it
  let scale: NormScale | null = null;
  let drawn: unknown = null;

  listen(
    handle,
    "input",
    () => {
      if (scale) store.set("depth_threshold", scale.norm(Number(handle.value) / STEPS));
    },
    signal,
  );
  listen(back, "click", () => store.set("depth_threshold", null), signal);

  function draw(): void {
    const [at, norms] = [model.at(), model.norms()];
    const block = model.blocks()[at];
    const own = norms?.thresholds[at];
    element.hidden = !block;
    if (!block || !norms) return;
    if (drawn !== `${norms.image_index} ${at}` || !scale) {
      drawn = `${norms.image_index} ${at}`;
      scale = normScale(block, own ?? 0);
    }
    handle.disabled = scale === null;
    if (!scale) {
      setText(said, "no patch of this layer has a norm above 0 that is a number");
      bars.replaceChildren();
      return;
    }
    const range = scale;
    const counts = histogram(block.patches, range, BINS);
    const most = Math.max(...counts);
    bars.replaceChildren(
      ...counts.map((count, i) => {
        const [from, to] = [range.norm(i / BINS), range.norm((i + 1) / BINS)];
        const bar = el("span", "vw-histogram-bar", {
          title: `${plain(from)} to ${plain(to)}: ${count} patches`,
          "data-out": from >= block.threshold,
        });
        bar.style.left = `${(100 * i) / BINS}%`;
        bar.style.width = `${100 / BINS}%`;
        bar.style.setProperty("--vw-part", String(Math.max(0.03, count / most)));
        bar.hidden = count === 0;
        return bar;
      }),
    );
    const place = Number.isFinite(block.threshold) ? range.place(block.threshold) : 1;
    line.style.left = `${100 * place}%`;
    const value = String(Math.round(place * STEPS));
    if (handle.value !== value) handle.value = value;
    const count = countOf(model.out());
    const stand = `${count} of ${block.patches.length} patches stand out`;
    const limit = Number.isFinite(block.threshold) ? plain(block.threshold) : "none";
    setText(low, plain(range.low));
    setText(middle, `threshold ${limit}`);
    setText(high, plain(range.high));
    const rule = store.get("depth_threshold") === null ? "" : " · the same in all layers";
    setText(said, `${stand}${rule}`);
    attribute(handle, { "aria-valuetext": `${limit}: ${stand}` });
    back.hidden = store.get("depth_threshold") === null;
    bars.setAttribute(
      "aria-label",
      `histogram of the norms of ${block.patches.length} patches from ${plain(range.low)} to ` +
        `${plain(range.high)}, logarithmic; median ${plain(block.median)}`,
    );
  }
  view.paintOn(DEPTH_KEYS, draw);
}
