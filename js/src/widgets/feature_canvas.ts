import { defineWidget } from "../binding";
import { el, setText } from "../components/dom";
import { drawFeatureCanvas } from "../components/feature_canvas";
import { drawNotice } from "../components/status";
import { nameOf, selected } from "../lib/feature";
import { capital } from "../lib/format";
import { featureCanvasDefaults } from "../lib/state";

export default defineWidget("image optimised for a neuron", featureCanvasDefaults, (view) => {
  const { store } = view;
  const title = el("span", "vw-title vw-nowrap");
  const model = el("span", "vw-muted vw-ellipsis");
  const bar = el("div", "vw-bar", {}, el("div", "vw-heading", {}, title, model));
  const [notice, feature] = [el("div"), el("div")];
  view.root.append(notice, el("div", "vw-feature-alone", {}, bar, feature));
  drawNotice(notice, view);
  drawFeatureCanvas(feature, view);
  view.paintOn(["layer", "neuron", "feature_for", "feature_settings"], () => {
    const now = selected(store.get("layer"), store.get("neuron"), store.get("feature_settings"));
    setText(title, capital(nameOf(now)));
    setText(model, store.get("feature_for").model ?? "");
  });
  view.drawn.set(() => {
    const { run = 0, step = 0 } = store.get("feature_progress");
    return [store.get("layer"), store.get("neuron"), run, step].join(":");
  });
});
