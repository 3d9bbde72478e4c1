import { expect, test } from "vitest";
import {
  attributionsDefaults,
  compareMapsDefaults,
  featureCanvasDefaults,
  headDashboardDefaults,
  headGridDefaults,
  inspectorDefaults,
  layerSliderDefaults,
  neuronPageDefaults,
  patchFeaturesDefaults,
  patchOverlayDefaults,
  tokenClustersDefaults,
  tokenDepthDefaults,
  tokenScatterDefaults,
  tokenViewsDefaults,
} from "../src/lib/state";
import traits from "./fixtures/traits.json";

// traits.json is written by Python from its classes: a trait added, renamed or of another type on
// one side only fails here.
test.each([
  ["LayerSlider", layerSliderDefaults],
  ["HeadDashboard", headDashboardDefaults],
  ["HeadGrid", headGridDefaults],
  ["PatchOverlay", patchOverlayDefaults],
  ["FeatureCanvas", featureCanvasDefaults],
  ["NeuronPage", neuronPageDefaults],
  ["PatchFeatures", patchFeaturesDefaults],
  ["TokenViews", tokenViewsDefaults],
  ["TokenClusters", tokenClustersDefaults],
  ["TokenDepth", tokenDepthDefaults],
  ["TokenScatter", tokenScatterDefaults],
  ["Attributions", attributionsDefaults],
  ["CompareMaps", compareMapsDefaults],
  ["InspectorPage", inspectorDefaults],
] as const)("%s has the traits and defaults that Python has", (name, defaults) => {
  expect(defaults).toEqual(traits[name]);
});
