// The traits of every widget, by the names that Python gives them (vit_widgets/widgets).
// js/tests/fixtures/traits.json is written by Python; a test holds both sides together.
import type {
  FeatureFor,
  FeatureProgress,
  FeatureState,
  FeatureWanted,
  Setting,
  Settings,
} from "./feature";
import type { Direction, RawPacket } from "./packet";
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

export type PatchOverlayState = CommonState &
  RowState & {
    image: MaybePacked;
    image_name: string;
    exact: RawPacket | Record<string, never>;
    pins: number[];
    opacity: number;
    drawing: Drawing;
    contour: number;
    colormap: string;
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

export interface Prediction {
  label: string;
  probability: number;
}

export type InspectorState = LayerSliderState &
  HeadGridState &
  PatchOverlayState & {
    title: string;
    subtitle: string;
    thumbnails: MaybePacked;
    image_names: string[];
    predictions: Prediction[];
    predictions_note: string;
    tab: string;
    code: string;
  };

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

export const patchOverlayDefaults: PatchOverlayState = {
  ...common,
  ...row,
  image: {},
  image_name: "",
  exact: {},
  pins: [],
  opacity: 0.75,
  drawing: "smooth",
  contour: 0,
  colormap: "magma",
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

export const inspectorDefaults: InspectorState = {
  ...layerSliderDefaults,
  ...headGridDefaults,
  ...patchOverlayDefaults,
  title: "",
  subtitle: "",
  thumbnails: {},
  image_names: [],
  predictions: [],
  predictions_note: "",
  tab: "attention",
  code: "",
};

export const MOST_PINS = 8;
