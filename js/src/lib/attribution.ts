// What a page of attributions has beside a layer and a picture (Python's half:
// widgets/attributions.py), and what it is drawn from.
import type { Over } from "./dashboard";
import { type Explained, isOf } from "./explained";
import { type Heat, heatOf } from "./heat";
import type { None } from "./neuron";
import type { RawAxis } from "./packet";
import { isPacked, type MaybePacked, unpack } from "./wire";

export type AttributionCurve = "deletion" | "insertion";
export type Measure = "sensitivity_n" | "road" | "max_sensitivity" | "randomization";

/** What an answer is about. */
type About = { image_index: number; explained: Explained };

export type MethodSetting = {
  name: string;
  words: string;
  kind: "choice" | "number" | "layer";
  default: string | number | null;
  choices: string[];
  low: number;
  high: number;
  step: number;
};

export type Method = {
  name: string;
  words: string;
  about: string;
  /** Whether it explains a target; false: it knows no class. */
  target: boolean;
  cost: string;
  state: "off" | "waiting" | "made" | "stopped" | "failed";
  note: string;
  settings: MethodSetting[];
};

export type AttributionList = About & {
  target: string;
  score: number | null;
  methods: Method[];
  grid: RawAxis | None;
  values: MaybePacked;
  running: string;
  done: number;
  total: number;
  note: string;
};

export type AttributionMap = About & {
  method: string;
  settings: Record<string, unknown>;
  values: MaybePacked;
  /** Where the patches lie; empty: one value for each pixel. */
  axis: RawAxis | None;
  target: string;
  score: number | null;
  signed: boolean;
  notes: string[];
};

export type AttributionCurves = About & {
  over: Over;
  names: string[];
  fractions: number[];
  /** (method, step) */
  deletion: MaybePacked;
  insertion: MaybePacked;
  /** (method, end, step); empty of one image. */
  deletion_ends: MaybePacked;
  insertion_ends: MaybePacked;
  scores: Record<string, number | null>[];
  /** Of each score the ends of the interval of its mean; empty of one image. */
  ends: Record<string, [number | null, number | null]>[];
  words: string[];
  notes: string[];
  pictures: number;
  images: number;
};

export type AttributionPicture = About & {
  method: string;
  curve: AttributionCurve;
  step: number;
  pixels: MaybePacked;
};

export type AttributionTraits = {
  attribution_method: string;
  attribution_methods: string[];
  attribution_settings: Record<string, Record<string, string | number>>;
  attribution_measures: Measure[];
  attribution_over: Over;
  attribution_running: boolean;
  attribution_curve: AttributionCurve;
  attribution_step: number;
  attribution_list: AttributionList | None;
  attribution: AttributionMap | None;
  attribution_curves: AttributionCurves | None;
  attribution_picture: AttributionPicture | None;
};

export const attributionTraits: AttributionTraits = {
  attribution_method: "relevance",
  attribution_methods: [
    ...["rollout", "grad_cam", "attention_cam", "gradient_attention", "relevance", "legrad"],
    ...["saliency", "input_x_gradient", "integrated_gradients", "occlusion"],
  ],
  attribution_settings: {},
  attribution_measures: [],
  attribution_over: "this image",
  attribution_running: true,
  attribution_curve: "deletion",
  attribution_step: -1,
  attribution_list: {},
  attribution: {},
  attribution_curves: {},
  attribution_picture: {},
};

/** Whether an answer is about what is selected. */
export function isAbout(answer: Partial<About>, image: number, explained: Explained): boolean {
  return answer.image_index === image && isOf(answer.explained, explained);
}

/** A map of either sign on a square-root scale, zero in the middle where it is signed. */
export function mapHeat(values: Float32Array, rows: number, cols: number, signed: boolean): Heat {
  let maximum = 0;
  for (const value of values) if (Math.abs(value) > maximum) maximum = Math.abs(value);
  return heatOf({ rows, cols, signed }, values, maximum);
}

/** One of several maps; null where there is none. */
export function thumbnail(packed: MaybePacked, at: number): Heat | null {
  if (!isPacked(packed)) return null;
  const { codes, shape } = unpack(packed);
  const [, rows, cols] = shape;
  const values = (codes as Float32Array).subarray(at * rows * cols, (at + 1) * rows * cols);
  if (values.every(Number.isNaN)) return null;
  return mapHeat(
    values,
    rows,
    cols,
    values.some((value) => value < 0),
  );
}

/** The ends of the interval around each curve, low and high; nothing where they are not known. */
export function endsOf(answer: AttributionCurves, kind: AttributionCurve): number[][][] {
  const packed = answer[`${kind}_ends`];
  if (!isPacked(packed)) return answer.names.map(() => []);
  const { codes, shape } = unpack(packed);
  const steps = shape[2];
  const end = (row: number, at: number) => {
    const start = (2 * row + at) * steps;
    return Array.from(codes.subarray(start, start + steps));
  };
  return answer.names.map((_, row) => {
    const both = [end(row, 0), end(row, 1)];
    return both.flat().every(Number.isFinite) ? both : [];
  });
}

/** The curve of each map, one number a step. */
export function curvesOf(answer: AttributionCurves, kind: AttributionCurve): number[][] {
  const packed = answer[kind];
  if (!isPacked(packed)) return answer.names.map(() => []);
  const { codes, shape } = unpack(packed);
  const steps = shape[1];
  return answer.names.map((_, row) => Array.from(codes.subarray(row * steps, (row + 1) * steps)));
}

/** The lowest and the highest score that is drawn, at least 0 to 1. */
export function rangeOf(curves: readonly number[][]): { low: number; high: number } {
  const known = curves.flat().filter(Number.isFinite);
  return { low: Math.min(0, ...known), high: Math.max(1, ...known) };
}

/** The path of a curve in a box of 1 × 1; "" without a number. */
export function curvePath(
  fractions: readonly number[],
  scores: readonly number[],
  { low, high }: { low: number; high: number },
): string {
  let path = "";
  scores.forEach((score, i) => {
    if (!Number.isFinite(score)) return;
    const y = 1 - (score - low) / (high - low);
    path += `${path ? "L" : "M"}${fractions[i].toFixed(4)} ${y.toFixed(4)}`;
  });
  return path;
}

/** The path of a band, there along the low ends and back along the high ones; "" without. */
export function bandPath(
  fractions: readonly number[],
  ends: readonly number[][],
  range: { low: number; high: number },
): string {
  if (ends.length < 2) return "";
  const [low, high] = ends;
  const back = curvePath([...fractions].reverse(), [...high].reverse(), range);
  return `${curvePath(fractions, low, range)}${back.replace("M", "L")}Z`;
}

/** Columns of the table, and which way is better. */
export const SCORES = [
  { name: "abpc", text: "area between", title: "LeRF less MoRF; higher is better" },
  { name: "deletion", text: "deletion", title: "area; lower is better" },
  { name: "insertion", text: "insertion", title: "area; higher is better" },
  {
    name: "average_drop_50",
    text: "drop, %",
    title: "average drop with the best half of the patches kept; lower is better",
  },
  { name: "sensitivity_n", text: "sensitivity-n", title: "correlation; higher is better" },
  { name: "road", text: "ROAD", title: "area between with imputed pixels; higher is better" },
  { name: "max_sensitivity", text: "noise", title: "change under noise; lower is better" },
  {
    name: "randomization",
    text: "forgetting",
    title: "rank correlation with maps of a model that forgets; lower is better",
  },
  { name: "pointing", text: "pointing", title: "1: the highest patch lies on the object" },
  { name: "iou", text: "IoU", title: "overlap with the object; higher is better" },
  { name: "mass", text: "mass", title: "share that lies on the object; higher is better" },
] as const;

/** Those columns that any map has a number for. */
export function columnsOf(scores: readonly Record<string, number | null>[]) {
  return SCORES.filter(({ name }) => scores.some((row) => typeof row[name] === "number"));
}

/** The settings of a method with one of them changed; a default is not kept. */
export function withSetting(
  settings: AttributionTraits["attribution_settings"],
  method: string,
  { name, default: usual }: MethodSetting,
  value: string | number,
): AttributionTraits["attribution_settings"] {
  const { [name]: _, ...others } = settings[method] ?? {};
  const own = value === usual || value === "own" ? others : { ...others, [name]: value };
  return { ...settings, [method]: own };
}
