// The image in view with the neuron's map over it; a click asks which neurons fire at a patch.
import { pixelTable } from "../lib/colormap";
import { activation, tokenName } from "../lib/format";
import { type Axis, type Place, placeAt, placeIn, type Tokens, tokenUnder } from "../lib/geometry";
import { isArrow, moveQuery } from "../lib/keyboard";
import { type NeuronMap, SELECTION, standingOf } from "../lib/neuron";
import { heatOf, meanOf, rangeOf } from "../lib/neuron_scale";
import { type RawAxis, readAxis } from "../lib/packet";
import type { NeuronPageState } from "../lib/state";
import { type Local, local } from "../lib/store";
import { isPacked, unpack } from "../lib/wire";
import { attribute, context2d, el, listen, onResize, setNote, setText, sizeCanvas } from "./dom";
import { drawImageStrip } from "./image_strip";
import { section, staleLabel, whoseAnswer } from "./neuron_answer";
import { neuronScene } from "./neuron_scene";
import { paintOverlay } from "./overlay_painter";
import { photoCache } from "./photo";
import { paintCells } from "./pixels";
import type { View } from "./view";

/** The map on screen: its numbers and where its patches are. */
export interface ShownMap {
  answer: NeuronMap;
  rows: number;
  cols: number;
  values: ArrayLike<number>;
  /** Null where the values have no place on the image. */
  tokens: Tokens | null;
}

/** Where the neuron fires, for all parts of the page that say something of it. */
export interface NeuronImage {
  map(): ShownMap | null;
  /** The patch under the pointer. */
  pointed: Local<Place | null>;
  /** The patch that is asked about, on the map. */
  asked(): Place | null;
  /** "patch (3, 9)", "class token" */
  queryName(): string;
}

export function neuronImage(view: View<NeuronPageState>): NeuronImage {
  const { store } = view;
  let last: ShownMap | null = null;
  function map(): ShownMap | null {
    const answer = store.get("neuron_map") as NeuronMap;
    if (!isPacked(answer.values)) return null; // also of an answer that is not there
    if (last?.answer === answer) return last;
    const { codes, shape } = unpack(answer.values);
    const [rows, cols] = shape;
    last = { answer, rows, cols, values: codes, tokens: tokensOf(answer, rows, cols) };
    return last;
  }
  return {
    map,
    pointed: local<Place | null>(null),
    asked() {
      const tokens = map()?.tokens;
      return tokens ? placeIn(store.get("query"), tokens) : null;
    },
    queryName: () => tokenName(store.get("query"), map()?.tokens ?? null),
  };
}

function tokensOf({ box, prefix, reference }: NeuronMap, rows: number, cols: number) {
  if (!box) return null;
  const asked = readAxis({ grid: [rows, cols], prefix: Object.keys(prefix), box });
  const other = reference as Partial<RawAxis>;
  return { reference: other.grid ? readAxis(other as RawAxis) : asked, asked };
}

export function valueAt({ values, cols }: ShownMap, place: Place): number {
  return values[place.row * cols + place.col];
}

export function drawNeuronImage(
  element: HTMLElement,
  view: View<NeuronPageState>,
  image: NeuronImage,
): void {
  const { store, signal } = view;
  const photoOf = photoCache();
  const { aside } = section(element, "In this image");
  const canvas = el("canvas", "vw-overlay-canvas", { "aria-hidden": "true" });
  const stage = el("div", "vw-stage", {
    tabindex: 0,
    role: "application",
    "aria-roledescription": "activation map",
    "data-focus": "picture",
  });
  stage.append(canvas);
  const numbers = el("p", "vw-note vw-number-note");
  const prefix = el("p", "vw-note vw-number-note");
  const record = el("canvas", "vw-cells vw-neuron-record", { "aria-hidden": "true" });
  const note = el("p", "vw-note");
  const strip = el("div");
  element.classList.add("vw-neuron-image");
  const whose = staleLabel(element);
  element.append(stage, record, numbers, prefix, note, strip);
  drawImageStrip(strip, view);

  function placeUnder(event: MouseEvent): Place | null {
    const axis = image.map()?.tokens?.asked;
    const box = stage.getBoundingClientRect();
    if (!axis || box.width === 0) return null;
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    return placeAt(x / box.width, y / box.height, axis);
  }
  let hovered = -1;
  listen(
    stage,
    "pointermove",
    (event) => {
      const place = placeUnder(event);
      const cell = place ? place.row * 1e6 + place.col : -1;
      if (cell === hovered) return;
      hovered = cell;
      image.pointed.set(place);
    },
    signal,
  );
  listen(
    stage,
    "pointerleave",
    () => {
      hovered = -1;
      image.pointed.set(null);
    },
    signal,
  );
  listen(
    stage,
    "click",
    (event) => {
      const place = placeUnder(event);
      const tokens = image.map()?.tokens;
      const token = place && tokens ? tokenUnder(place, tokens) : null;
      if (token !== null) store.set("query", token);
    },
    signal,
  );
  listen(
    stage,
    "keydown",
    (event) => {
      const tokens = image.map()?.tokens;
      if (!tokens || !isArrow(event.key)) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      store.set("query", moveQuery(store.get("query"), event.key, tokens));
    },
    signal,
  );

  function draw(): void {
    const shown = image.map();
    const packed = store.get("image");
    const photo = photoOf(isPacked(packed) ? packed : null);
    const standing = standingOf(store, "neuron_map");
    const answer = store.get("neuron_map");
    // the map of one image is never drawn on another
    const mine = shown !== null && shown.answer.image_index === store.get("image_index");
    const map = mine ? shown : null;
    element.hidden = photo === null && shown === null;
    attribute(element, { "data-answer": standing, "aria-busy": standing === "stale" });
    setText(aside, store.get("image_name"));
    setText(whose, standing === "stale" && map ? `this is ${whoseAnswer(map.answer)}` : "");
    setNote(note, "note" in answer ? answer.note : "");
    const range = map ? rangeOf(map.values) : { low: 0, high: 0 };
    const extremes = `min ${activation(range.low)} · max ${activation(range.high)}`;
    const mean = map ? activation(meanOf(map.values)) : "";
    setText(numbers, map ? `${extremes} · mean over patches ${mean}` : "no map yet");
    const others = map ? Object.entries(map.answer.prefix) : [];
    setText(prefix, prefixWords(others));
    prefix.hidden = others.length === 0;
    const axis: Axis | null = map?.tokens?.asked ?? null;
    record.hidden = map === null || axis !== null;
    if (map && !axis) {
      const cells = heatOf(map.values, map.rows, map.cols, range);
      paintCells(record, cells, pixelTable(store.get("colormap")));
    }
    const aspect = photo ? photo.width / photo.height : axis ? axis.cols / axis.rows : 1;
    stage.style.setProperty("--vw-aspect", String(aspect));
    attribute(stage, {
      "aria-label": map
        ? `activation map of ${whoseAnswer(map.answer)}, ${extremes}; ` +
          `asked about ${image.queryName()}: arrows move`
        : "image",
    });
    if (!sizeCanvas(canvas, size.width, size.height)) return;
    paintOverlay(
      context2d(canvas),
      { x: 0, y: 0, width: canvas.width, height: canvas.height },
      canvas.width / size.width,
      neuronScene(store, {
        photo,
        heat: map && axis ? heatOf(map.values, axis.rows, axis.cols, range) : null,
        map: axis,
        asked: axis,
        query: map && image.asked(),
        pointed: map && image.pointed.get(),
      }),
    );
  }
  view.paintOn(
    [...SELECTION, "neuron_map", "image", "image_name", "opacity", "drawing", "colormap"],
    draw,
  );
  image.pointed.on(() => view.paint(draw));
  const size = onResize(stage, () => view.paint(draw), signal);
}

const NAMED = 3; // more prefix tokens than this: the largest are named

function prefixWords(tokens: [name: string, value: number | null][]): string {
  const named = [...tokens].sort((a, b) => (b[1] ?? 0) - (a[1] ?? 0)).slice(0, NAMED);
  const words = (tokens.length > NAMED ? named : tokens).map(
    ([name, value]) => `${name} ${activation(value)}`,
  );
  const rest = tokens.length > NAMED ? ` · ${tokens.length - NAMED} more below` : "";
  return words.length ? `not on the map: ${words.join(" · ")}${rest}` : "";
}
