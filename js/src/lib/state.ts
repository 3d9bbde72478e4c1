// The traits of every widget, by the names that Python gives them (vit_widgets/widgets).
// js/tests/fixtures/traits.json is written by Python; a test holds both sides together.

import { type AttributionTraits, attributionTraits } from "./attribution";
import { type ClustersTraits, clustersTraits } from "./clusters";
import { type CompareTraits, compareTraits } from "./comparison";
import { type DashboardTraits, dashboardTraits } from "./dashboard";
import { type DepthTraits, depthTraits } from "./depth";
import { type ExplainedTraits, explainedTraits } from "./explained";
import type {
  FeatureFor,
  FeatureProgress,
  FeatureState,
  FeatureWanted,
  Setting,
  Settings,
} from "./feature";
import type { AnswerTraits, AtlasCells, AtlasRange, None } from "./neuron";
import type { Direction, RawPacket } from "./packet";
import { type FeaturesTraits, featuresTraits } from "./patch_features";
import { type ScatterTraits, scatterTraits } from "./scatter";
import type { TokenLayer } from "./token_layer";
import { type TokenMaskTraits, tokenMaskTraits } from "./token_mask";
import { type ViewsTraits, viewsTraits } from "./views";
import type { MaybePacked, Packed } from "./wire";

export const PROTOCOL = 2;

export interface Status {
  state: "ready" | "working" | "error" | "cannot";
  text: string;
  detail: string;
  progress: number | null;
}

export type { Direction };
export type Sort = "head" | "entropy" | "distance" | "maximum";
export type ScaleMode = "per map" | "shared";
export type Span = "this layer" | "all layers";
export type Drawing = "smooth" | "patches";

// A type, not an interface: only a type is assignable to Record<string, unknown>.
export type CommonState = {
  protocol: number;
  status: Status;
  theme: "auto" | "light" | "dark";
  // the selection: one name, type and range in every component, counted from 0
  layer: number;
  head: number;
  query: number;
  image_index: number;
  neuron: number;
  target: number;
};

export type LayerSliderState = CommonState & {
  layer_labels: string[];
  layer_values: MaybePacked;
  layer_caption: string;
  playing: boolean;
};

/** What says which row of which attention is looked at. */
export type RowState = {
  maps: RawPacket | Record<string, never>;
  heads: number[];
  direction: Direction;
};

export type HeadGridState = CommonState &
  RowState & {
    sort: Sort;
    scale: ScaleMode;
    span: Span;
    colormap: string;
  };

/** How maps are laid over images. */
export type OverlayState = {
  opacity: number;
  drawing: Drawing;
  colormap: string;
};

/** An image, and how a map is laid over it. */
export type ImageState = OverlayState & {
  image: MaybePacked;
  image_name: string;
};

/** Queries held for comparison. */
export type PinState = { pins: number[] };

export type PatchOverlayState = CommonState &
  RowState &
  ImageState &
  PinState & {
    exact: RawPacket | Record<string, never>;
    contour: number;
  };

/** Curves of a run: (3, picture, point) of loss, activation and total variation, thinned. */
export type Curves = Packed & { every: number; last: number };

export type FeatureCanvasState = CommonState & {
  feature_image: MaybePacked;
  feature_strip: MaybePacked;
  feature_strip_labels: string[];
  feature_state: FeatureState;
  feature_progress: FeatureProgress;
  feature_curves: Curves | Record<string, never>;
  feature_for: FeatureFor;
  feature_settings: Settings;
  feature_choices: Record<string, Setting[]>;
  feature_wanted: FeatureWanted;
  feature_copies_shown: boolean;
  feature_copies: MaybePacked;
  feature_note: string;
  feature_detail: string;
  feature_code: string;
};

/** What every whole page has: a header, and images to choose from. */
export type PageState = CommonState & {
  title: string;
  subtitle: string;
  thumbnails: MaybePacked;
  image_names: string[];
  code: string;
};

export type NeuronPageState = PageState &
  ImageState &
  FeatureCanvasState &
  AnswerTraits & {
    neuron_counts: number[];
    neuron_labels: string[];
    neuron_of_layer: number[];
    index_caption: string;
    index_note: string;
    top_view: "image + map" | "image" | "map";
    map_scale: "shared scale" | "per map";
    other_name: string;
    class_names: string[];
    bookmarks: number[][];
    atlas_open: boolean;
    atlas_wanted: AtlasRange | None;
    atlas: AtlasCells | None;
  };

/** Questions about tokens; the page of each comes when it is first opened. */
export const TOKEN_TABS = [
  "features",
  "views",
  "scatter",
  "clusters",
  "depth",
  "heads",
  "attribution",
] as const;
export type TokenTab = (typeof TOKEN_TABS)[number];
export type Tab = "attention" | "neurons" | TokenTab;

/** What every page about tokens has. */
export type TokenPageState = LayerSliderState &
  PageState &
  ImageState &
  PinState & {
    token_layer: TokenLayer | None;
  };

/** And those on which objects can be drawn. */
export type TokenMaskState = TokenPageState & TokenMaskTraits;

export type TokenScatterState = TokenMaskState & ScatterTraits;

export interface Prediction {
  label: string;
  probability: number;
}

export type InspectorState = LayerSliderState &
  HeadGridState &
  PatchOverlayState &
  NeuronPageState &
  PatchFeaturesState &
  TokenViewsState &
  TokenScatterState &
  TokenClustersState &
  TokenDepthState &
  HeadDashboardState &
  AttributionsState & {
    predictions: Prediction[];
    predictions_note: string;
    tab: Tab;
    tabs: Tab[];
    tab_code: Partial<Record<TokenTab, string>>;
  };

/** Maps beside each other; no part of the Inspector's page. */
export type CompareMapsState = PageState & OverlayState & CompareTraits;

export type PatchFeaturesState = TokenPageState & FeaturesTraits;
export type TokenViewsState = TokenMaskState & ViewsTraits;

export type TokenClustersState = TokenMaskState & ClustersTraits;
export type TokenDepthState = TokenPageState & DepthTraits;
export type AttributionsState = TokenMaskState & ExplainedTraits & AttributionTraits;

/** Numbers of all heads, and several of a layer chosen together. */
export type HeadDashboardState = TokenMaskState &
  ExplainedTraits & { heads: number[] } & DashboardTraits;

const common: CommonState = {
  protocol: PROTOCOL,
  status: { state: "ready", text: "", detail: "", progress: null },
  theme: "auto",
  layer: 0,
  head: 0,
  query: 0,
  image_index: 0,
  neuron: 0,
  target: 0,
};

export const layerSliderDefaults: LayerSliderState = {
  ...common,
  layer_labels: [],
  layer_values: {},
  layer_caption: "",
  playing: false,
};

const row: RowState = {
  maps: {},
  heads: [],
  direction: "attends to",
};

export const headGridDefaults: HeadGridState = {
  ...common,
  ...row,
  sort: "head",
  scale: "per map",
  span: "this layer",
  colormap: "magma",
};

const overlay: OverlayState = { opacity: 0.75, drawing: "smooth", colormap: "magma" };

const picture: ImageState = { ...overlay, image: {}, image_name: "" };

export const patchOverlayDefaults: PatchOverlayState = {
  ...common,
  ...row,
  ...picture,
  exact: {},
  pins: [],
  contour: 0,
};

export const featureCanvasDefaults: FeatureCanvasState = {
  ...common,
  feature_image: {},
  feature_strip: {},
  feature_strip_labels: [],
  feature_state: "empty",
  feature_progress: {},
  feature_curves: {},
  feature_for: {},
  feature_settings: {},
  feature_choices: {},
  feature_wanted: {},
  feature_copies_shown: false,
  feature_copies: {},
  feature_note: "",
  feature_detail: "",
  feature_code: "",
};

const page: PageState = {
  ...common,
  title: "",
  subtitle: "",
  thumbnails: {},
  image_names: [],
  code: "",
};

export const neuronPageDefaults: NeuronPageState = {
  ...featureCanvasDefaults,
  ...page,
  ...picture,
  neuron_counts: [],
  neuron_labels: [],
  neuron_of_layer: [],
  index_caption: "",
  index_note: "",
  neuron_map: {},
  top_images: {},
  top_view: "image + map",
  map_scale: "shared scale",
  distribution: {},
  class_counts: {},
  effects: {},
  alike: {},
  patch_neurons: {},
  class_neurons: {},
  specific: {},
  other_name: "",
  class_names: [],
  bookmarks: [],
  atlas_open: false,
  atlas_wanted: {},
  atlas: {},
};

const tokenPage: TokenPageState = {
  ...layerSliderDefaults,
  ...page,
  ...picture,
  pins: [],
  token_layer: {},
};

export const tokenMaskDefaults: TokenMaskState = { ...tokenPage, ...tokenMaskTraits };

export const tokenScatterDefaults: TokenScatterState = { ...tokenMaskDefaults, ...scatterTraits };

export const patchFeaturesDefaults: PatchFeaturesState = { ...tokenPage, ...featuresTraits };
export const tokenViewsDefaults: TokenViewsState = { ...tokenMaskDefaults, ...viewsTraits };

export const tokenClustersDefaults: TokenClustersState = {
  ...tokenMaskDefaults,
  ...clustersTraits,
};
export const tokenDepthDefaults: TokenDepthState = { ...tokenPage, ...depthTraits };
export const attributionsDefaults: AttributionsState = {
  ...tokenMaskDefaults,
  ...explainedTraits,
  ...attributionTraits,
};

export const headDashboardDefaults: HeadDashboardState = {
  ...tokenMaskDefaults,
  ...explainedTraits,
  heads: [],
  ...dashboardTraits,
};

export const inspectorDefaults: InspectorState = {
  ...layerSliderDefaults,
  ...headGridDefaults,
  ...patchOverlayDefaults,
  ...neuronPageDefaults,
  ...patchFeaturesDefaults,
  ...tokenViewsDefaults,
  ...tokenClustersDefaults,
  ...tokenDepthDefaults,
  ...tokenScatterDefaults,
  ...headDashboardDefaults,
  ...attributionsDefaults,
  predictions: [],
  predictions_note: "",
  tab: "attention",
  tabs: [],
  tab_code: {},
};

export const compareMapsDefaults: CompareMapsState = { ...page, ...overlay, ...compareTraits };

export const MOST_PINS = 8;
