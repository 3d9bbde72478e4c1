import { defineWidget } from "../binding";
import { el } from "../components/dom";
import { drawLayerSlider } from "../components/layer_slider";
import { drawNotice } from "../components/status";
import { layerSliderDefaults } from "../lib/state";

export default defineWidget("layer slider", layerSliderDefaults, (view) => {
  const [slider, notice] = [el("div"), el("div")];
  view.root.append(slider, notice);
  drawLayerSlider(slider, view);
  drawNotice(notice, view);
  const { store } = view;
  view.drawn.set(() =>
    [store.get("image_index"), store.get("layer"), store.get("head"), store.get("query")].join(":"),
  );
});
