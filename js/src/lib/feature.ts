// An image that is optimised for a neuron: what is wanted of it, whose it is, and how it is said.

export type FeatureState = "empty" | "running" | "paused" | "stopped" | "done" | "failed";
export type Do = "run" | "pause" | "stop";
/** A choice, a number, or a list that makes one picture for each. */
export type Setting = string | number | boolean | null | number[];
export type Settings = Record<string, Setting>;

export interface FeatureWanted {
  run?: number;
  do?: Do;
}

export interface FeatureFor {
  /** A number counts layers; anything else is not chosen with the layer. */
  layer?: number | string | null;
  neuron?: number;
  space?: string;
  objective?: string;
  model?: string;
  settings?: Settings;
  /** What is counted, where it is no neuron of the space: "direction". */
  unit?: string;
}

export interface FeatureProgress {
  run?: number;
  step?: number;
  steps?: number;
  seconds_left?: number | null;
  activation?: number;
  total_variation?: number;
  loss?: number;
  best_step?: number | null;
}

/** What is selected: in some spaces a module or nothing stands in for the layer. */
export function selected(layer: number, neuron: number, settings: Settings): FeatureFor {
  const space = typeof settings.space === "string" ? settings.space : undefined;
  const unit = typeof settings.unit === "string" ? settings.unit : undefined;
  if (space === "logit" || space === "text") return { layer: null, neuron, space, unit };
  return { layer: space === "output" ? String(settings.module ?? "") : layer, neuron, space, unit };
}

/** Whether the picture belongs to something else than what is selected. */
export function isStale(of: FeatureFor, now: FeatureFor): boolean {
  if (of.neuron === undefined) return false;
  const known = of.space !== undefined && now.space !== undefined;
  const elsewhere = of.layer !== undefined && of.layer !== now.layer;
  return of.neuron !== now.neuron || elsewhere || (known && of.space !== now.space);
}

const UNITS: Record<string, string> = {
  ffn_act: "neuron",
  ffn_pre: "neuron",
  logit: "class",
  output: "channel",
};

/** "layer 3 · neuron 5", "layer 3 · queries, feature 5", "layer3.1.conv2 · channel 5", "class 7" */
export function nameOf({ layer, neuron, space = "ffn_act", unit }: FeatureFor): string {
  const place = typeof layer === "number" ? `layer ${layer}` : layer;
  const counted = unit ?? UNITS[space] ?? `${settingWords(space)}, feature`;
  return [place, neuron === undefined ? "" : `${counted} ${neuron}`].filter(Boolean).join(" · ");
}

/** The run that was asked for last. */
export function lastRun(wanted: FeatureWanted, progress: FeatureProgress): number {
  return Math.max(wanted.run ?? 0, progress.run ?? 0);
}

export interface Controls {
  /** What the first button says and asks for. */
  text: "Start" | "Start again" | "Pause" | "Resume";
  first: FeatureWanted;
  /** What the second one asks for; null where nothing runs. */
  stop: FeatureWanted | null;
  /** Python has not done yet what was asked. */
  waiting: boolean;
}

/** What can be asked now, from what is going on and what was asked already. */
export function controls(
  state: FeatureState,
  wanted: FeatureWanted,
  progress: FeatureProgress,
  stale: boolean,
): Controls {
  const run = lastRun(wanted, progress);
  const begun = run === (progress.run ?? 0);
  const doing: Do = state === "running" ? "run" : state === "paused" ? "pause" : "stop";
  const wish = wanted.run === run ? (wanted.do ?? doing) : doing;
  const ended = begun && doing === "stop"; // by itself, whatever was wished
  const active = !ended && wish !== "stop";
  const waiting = !ended && (begun ? wish !== doing : wish !== "stop");
  const stop: FeatureWanted | null = active ? { run, do: "stop" } : null;
  if (active && !(begun && stale)) {
    return wish === "pause"
      ? { text: "Resume", first: { run, do: "run" }, stop, waiting }
      : { text: "Pause", first: { run, do: "pause" }, stop, waiting };
  }
  const text = stale || state === "empty" ? "Start" : "Start again";
  return { text, first: { run: run + 1, do: "run" }, stop, waiting };
}

/** "248 / 400 · 19 s left", "stopped after 40 of 64 steps" */
export function progressWords(state: FeatureState, progress: FeatureProgress): string {
  const { step, steps, seconds_left: left } = progress;
  if (step === undefined || steps === undefined) return "";
  if (state === "stopped") return `stopped at step ${step} of ${steps}`;
  if (state === "failed") return `failed at step ${step} of ${steps}`;
  if (state === "done") return `${steps} steps`;
  const time =
    state === "paused" ? "paused" : left === null || left === undefined ? "" : timeLeft(left);
  return [`${step} / ${steps}`, time].filter(Boolean).join(" · ");
}

export function timeLeft(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s left`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min left`;
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)} h${rest ? ` ${rest} min` : ""} left`;
}

/** What a setting is called, and how it is entered. */
export interface SettingKind {
  key: string;
  label: string;
  /** "numbers": one, or several for a picture each; "list": any number of them. */
  kind: "choice" | "number" | "numbers" | "list" | "text";
  whole?: boolean;
  least?: number;
  unit?: string;
  /** Shown in this space only. */
  space?: string;
}

export const FIRST_SETTINGS: readonly SettingKind[] = [
  { key: "objective", label: "objective", kind: "choice" },
  { key: "space", label: "space", kind: "choice" },
  { key: "module", label: "module", kind: "text", space: "output" },
  { key: "preset", label: "preset", kind: "choice" },
  { key: "total_variation", label: "total variation λ", kind: "numbers", least: 0 },
  { key: "seed", label: "seed", kind: "numbers", whole: true, least: 0 },
];

export const MORE_SETTINGS: readonly SettingKind[] = [
  { key: "steps", label: "steps", kind: "number", whole: true, least: 1 },
  { key: "copies", label: "augmented copies", kind: "number", whole: true, least: 1 },
  { key: "jitter", label: "jitter", kind: "number", whole: true, least: 0, unit: "px" },
  { key: "color_shift", label: "colour shift", kind: "choice" },
  { key: "noise", label: "noise", kind: "choice" },
  { key: "parametrization", label: "parametrisation", kind: "choice" },
  { key: "learning_rate", label: "learning rate", kind: "number", least: 0 },
  { key: "beside", label: "neurons beside it", kind: "list", whole: true, least: 0 },
];

const WORDS: Record<string, string> = {
  true: "on",
  false: "off",
  ffn_act: "MLP, after activation",
  ffn_pre: "MLP, before activation",
  q: "queries",
  k: "keys",
  v: "values",
  attn_in: "into attention",
  attn_out: "out of attention",
  resid: "block output",
  output: "module output",
  logit: "class score",
  direction: "a direction",
  text: "a text",
  code: "as in the paper's code",
  paper: "as in the paper's text",
};

/** How a value of a setting reads. */
export function settingWords(value: Setting | undefined): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(String).join(", ");
  return WORDS[String(value)] ?? String(value);
}

/** What was typed: a number or a list of several; `wrong` says why it is neither. */
export function parseNumbers(
  text: string,
  kind: SettingKind,
): { value: number | number[] } | { wrong: string } {
  const parts = text.split(/[,;\s]+/).filter(Boolean);
  const numbers = parts.map(Number);
  const good = (n: number) =>
    Number.isFinite(n) && n >= (kind.least ?? -Infinity) && (!kind.whole || Number.isInteger(n));
  const list = kind.kind === "list";
  const several = list || kind.kind === "numbers";
  const count = several ? numbers.length > 0 || list : numbers.length === 1;
  if (!count || !numbers.every(good)) {
    const what = kind.whole ? "a whole number" : "a number";
    const from = kind.least === undefined ? "" : ` from ${kind.least} up`;
    const more = several ? ", or several with commas between them" : "";
    return { wrong: `${kind.label} takes ${what}${from}${more}` };
  }
  return { value: list || numbers.length > 1 ? numbers : numbers[0] };
}

export function sameSetting(a: Setting | undefined, b: Setting | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Where the points of a curve lie, 0 to 1 to the right and down; none where there is no number. */
export function curvePoints(
  value: (point: number) => number,
  steps: readonly number[],
  total: number,
): { x: number; y: number }[] {
  const known = steps
    .map((step, point) => ({ step, value: value(point) }))
    .filter((point) => Number.isFinite(point.value));
  const low = Math.min(...known.map((point) => point.value));
  const high = Math.max(...known.map((point) => point.value));
  const spread = high - low;
  return known.map((point) => ({
    x: total > 0 ? point.step / total : 0,
    y: spread > 0 ? 1 - (point.value - low) / spread : 0.5,
  }));
}

/** The step of each point of a thinned curve: every few steps, and the last. */
export function stepsOf(points: number, every: number, last: number): number[] {
  return Array.from({ length: points }, (_, i) => Math.min(i * every, last));
}

/** Moves labels apart, down and up again, so that each has `gap`, within 0 to `room`. */
export function spread(places: readonly number[], gap: number, room: number): number[] {
  const order = places.map((_, i) => i).sort((a, b) => places[a] - places[b]);
  const moved = [...places];
  let least = 0;
  for (const i of order) {
    moved[i] = Math.max(places[i], least);
    least = moved[i] + gap;
  }
  let most = room;
  for (const i of order.reverse()) {
    moved[i] = Math.min(moved[i], most);
    most = moved[i] - gap;
  }
  return moved;
}
