// The images that excite the neuron most, and where in each of them it fires.
import { gradient } from "../lib/colormap";
import { activation } from "../lib/format";
import type { TopImages } from "../lib/neuron";
import { heatOf, type Range, rangeOf } from "../lib/neuron_scale";
import { readAxis } from "../lib/packet";
import type { NeuronPageState } from "../lib/state";
import { same } from "../lib/store";
import { isPacked, unpack } from "../lib/wire";
import { attribute, context2d, el, onResize, setText, sizeCanvas } from "./dom";
import { paintAnswer, section } from "./neuron_answer";
import { ALONE, neuronScene } from "./neuron_scene";
import { paintOverlay } from "./overlay_painter";
import { makePhoto, type Photo } from "./photo";
import { segmented } from "./segmented";
import type { View } from "./view";

const MAPS = ["image + map", "map"];

interface Tile {
  element: HTMLElement;
  frame: HTMLElement;
  canvas: HTMLCanvasElement;
  rank: HTMLElement;
  score: HTMLElement;
  name: HTMLElement;
  range: HTMLElement;
}

/** What is drawn, unpacked once for each answer. */
export interface TopPictures {
  photos: Photo[];
  /** One for each image, (row, col); empty where there are none. */
  maps: Float32Array[];
  rows: number;
  cols: number;
  /** Of all maps. */
  shared: Range;
}

export function readTop({ images, maps }: TopImages): TopPictures {
  const pictures = isPacked(images) ? unpack(images) : null;
  const cells = isPacked(maps) ? unpack(maps) : null;
  const [count, height, width] = pictures?.shape ?? [0, 0, 0];
  const [, rows, cols] = cells?.shape ?? [0, 0, 0];
  const part = <T extends { subarray(a: number, b: number): T }>(all: T, size: number, i: number) =>
    all.subarray(i * size, (i + 1) * size);
  const each = Array.from({ length: count }, (_, i) => i);
  const codes = cells?.codes as Float32Array | undefined;
  return {
    photos: each.map((i) =>
      makePhoto(part(pictures?.codes as Uint8Array, height * width * 3, i), width, height),
    ),
    maps: codes ? each.map((i) => part(codes, rows * cols, i)) : [],
    rows,
    cols,
    shared: rangeOf(codes ?? []),
  };
}

export function drawNeuronTop(element: HTMLElement, view: View<NeuronPageState>): void {
  const { store, signal } = view;
  const { bar } = section(element, "Most activating images");
  const shown = segmented(view, "top_view", "what is shown of each image", [
    { value: "image + map", text: "image + map" },
    { value: "image", text: "image" },
    { value: "map", text: "map" },
  ]);
  const scale = segmented(view, "map_scale", "scale of the maps", [
    { value: "shared scale", text: "shared scale", title: "one scale for all maps" },
    { value: "per map", text: "per map", title: "each map from its own minimum to its maximum" },
  ]);
  const tools = el("div", "vw-tools", {}, shown, scale);
  bar.append(tools);
  const grid = el("ol", "vw-top");
  const colours = el("span", "vw-legend-bar", { "aria-hidden": "true" });
  const ends = el("span");
  const legend = el("span", "vw-legend", {}, colours, ends);
  const caption = el("span", "vw-muted vw-top-small");
  const note = el("p", "vw-note");
  element.classList.add("vw-neuron-top");
  element.append(grid, el("div", "vw-legend-line", {}, legend, caption), note);
  let tiles: Tile[] = [];
  let read: { answer: TopImages; pictures: TopPictures } | null = null;
  /** What the canvases were painted from: words change more often than pictures. */
  let painted: readonly unknown[] = [];

  function make(): Tile {
    const canvas = el("canvas", "vw-overlay-canvas", { "aria-hidden": "true" });
    const frame = el("span", "vw-top-frame", {}, canvas);
    const [rank, score] = [el("span", "vw-muted"), el("span", "vw-number")];
    const [name, range] = [el("span", "vw-ellipsis"), el("span", "vw-number")];
    const words = el(
      "span",
      "vw-top-words",
      { "aria-hidden": "true" },
      el("span", "vw-row vw-top-row", {}, rank, name, score),
      el("span", "vw-muted vw-top-range", {}, range),
    );
    const item = el("li", "vw-top-item", {}, frame, words);
    return { element: item, frame, canvas, rank, score, name, range };
  }

  function draw(answer: TopImages): void {
    if (read?.answer !== answer) read = { answer, pictures: readTop(answer) };
    const { pictures } = read;
    const { photos, maps, rows, cols, shared } = pictures;
    const view = store.get("top_view");
    const mapped = maps.length > 0 && MAPS.includes(view);
    const together = store.get("map_scale") === "shared scale";
    // scores are known also where the images can no longer be opened
    const count = Math.max(photos.length, answer.scores.length);
    if (tiles.length !== count) {
      tiles = Array.from({ length: count }, make);
      grid.replaceChildren(...tiles.map((tile) => tile.element));
    }
    const axis = readAxis({ grid: [rows, cols], prefix: [], box: answer.box });
    shown.hidden = maps.length === 0;
    scale.hidden = !mapped;
    grid.hidden = count === 0;
    const looks = (["opacity", "drawing", "colormap"] as const).map((key) => store.get(key));
    const from = [answer, view, together, side, devicePixelRatio, ...looks];
    const paint = !same(painted, from);
    painted = from;
    tiles.forEach((tile, i) => {
      const photo: Photo | undefined = photos[i];
      const own = maps[i] ? rangeOf(maps[i]) : null;
      const extremes = own ? `${activation(own.low)} to ${activation(own.high)}` : "";
      const name = answer.labels[i] || answer.names[i] || "";
      const score = activation(answer.scores[i]);
      setText(tile.rank, `#${i + 1}`);
      setText(tile.score, score);
      setText(tile.name, name);
      setText(tile.range, mapped ? extremes : "");
      const words = [`number ${i + 1}`, answer.labels[i], answer.names[i], `activation ${score}`];
      if (own) words.push(`map from ${extremes}`);
      attribute(tile.element, {
        "aria-label": words.filter(Boolean).join(", "),
        title: [answer.labels[i], answer.names[i]].filter(Boolean).join(" · "),
      });
      tile.frame.hidden = photo === undefined;
      if (!photo) return;
      tile.frame.style.setProperty("--vw-aspect", String(photo.width / photo.height));
      const width = side;
      const height = (side * photo.height) / photo.width;
      if (!paint || !sizeCanvas(tile.canvas, width, height)) return;
      const box = { x: 0, y: 0, width: tile.canvas.width, height: tile.canvas.height };
      const only = view === "map" && mapped;
      const scaling = together ? shared : (own ?? shared);
      const scene = neuronScene(store, {
        photo,
        heat: mapped ? heatOf(maps[i], rows, cols, scaling) : null,
        map: axis,
        ...(only && ALONE),
      });
      paintOverlay(context2d(tile.canvas), box, tile.canvas.width / width, scene);
    });
    legend.hidden = !mapped;
    colours.style.background = gradient(store.get("colormap"));
    setText(
      ends,
      together
        ? `${activation(shared.low)} to ${activation(shared.high)}`
        : "each map from its own minimum to its maximum",
    );
    setText(caption, store.get("index_caption"));
    setText(note, answer.note);
    note.hidden = answer.note === "";
  }

  let side = 0;
  paintAnswer(element, view, "top_images", draw, [
    "top_view",
    "map_scale",
    "index_caption",
    "opacity",
    "drawing",
    "colormap",
  ]);
  const size = onResize(
    grid,
    () => {
      if (size.width === 0) return;
      const first = tiles[0]?.frame.clientWidth ?? 0;
      if (first === 0 || first === side) return;
      side = first;
      if (read) {
        const { answer } = read;
        view.paint(() => draw(answer));
      }
    },
    signal,
  );
}
