import { defineWidget } from "../binding";
import { el, setText } from "../components/dom";
import { drawFeatureCanvas } from "../components/feature_canvas";
import { drawNotice } from "../components/status";
import { nameOf } from "../lib/feature";
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
    const of = store.get("feature_for");
    const space = of.space ?? (store.get("feature_settings").space as string | undefined);
    const place = typeof of.layer === "string" || of.layer === null ? of.layer : store.get("layer");
    const name = nameOf({ layer: place, neuron: store.get("neuron"), space });
    setText(title, name.charAt(0).toUpperCase() + name.slice(1));
    setText(model, of.model ?? "");
  });
  view.drawn.set(() => {
    const { run = 0, step = 0 } = store.get("feature_progress");
    return [store.get("layer"), store.get("neuron"), run, step].join(":");
  });
});
