// The most activating images as a picture, drawn at twice the size: for slides and reports.
import { activation, grouped } from "../lib/format";
import { selectionOf, type TopImages } from "../lib/neuron";
import { heatOf, rangeOf } from "../lib/neuron_scale";
import { readAxis } from "../lib/packet";
import type { NeuronPageState } from "../lib/state";
import { context2d } from "./dom";
import { saveCanvas } from "./download";
import { ALONE, neuronScene } from "./neuron_scene";
import { readTop } from "./neuron_top";
import { paintOverlay } from "./overlay_painter";
import type { View } from "./view";

const SCALE = 2;
const PADDING = 20;
const COLUMNS = 4;
const GAP = 12;
const TILE = 160;
const TOP = 76;

export async function saveNeuronPng(view: View<NeuronPageState>): Promise<void> {
  const { layer, neuron } = selectionOf(view.store);
  await saveCanvas(
    drawNeuronPng(view),
    `${[view.store.get("title"), `layer ${layer} neuron ${neuron}`].join(" ").replace(/[^\w.-]+/g, "_")}.png`,
  );
}

export function drawNeuronPng({ store, root }: View<NeuronPageState>): HTMLCanvasElement {
  const answer = store.get("top_images");
  const has = "images" in answer;
  const top = has ? readTop(answer as TopImages) : null;
  const count = top?.photos.length ?? 0;
  const photo = top?.photos[0];
  const height = photo ? (TILE * photo.height) / photo.width : TILE;
  const lines = Math.max(1, Math.ceil(count / COLUMNS));
  const canvas = document.createElement("canvas");
  const width = 2 * PADDING + COLUMNS * (TILE + GAP) - GAP;
  canvas.width = width * SCALE;
  canvas.height = (TOP + lines * (height + 36) + PADDING + 12) * SCALE;
  const context = context2d(canvas);
  context.scale(SCALE, SCALE);
  const style = getComputedStyle(root);
  const grey = style.getPropertyValue("--vw-solid-muted").trim();
  const write = (text: string, x: number, y: number, font: string, ink: string, end = false) => {
    context.font = `${font} ${style.fontFamily}`;
    context.fillStyle = ink;
    context.textAlign = end ? "right" : "left";
    context.fillText(text, x, y);
    return context.measureText(text).width;
  };
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, width, canvas.height);
  const after = write(store.get("title"), PADDING, 32, "600 16px", style.color);
  write(store.get("subtitle"), PADDING + after + 12, 32, "12px", grey);
  // the name of what is drawn, which may not be what is selected
  const { layer, neuron } = has ? (answer as TopImages) : selectionOf(store);
  const said = [`Layer ${layer}, neuron ${grouped(neuron)}`, store.get("index_caption")];
  write(said.filter(Boolean).join(" · "), PADDING, 54, "12px", grey);
  if (!has || !top) {
    write("no top images", PADDING, TOP + 24, "12px", grey);
    return canvas;
  }
  const { box, scores, labels, names } = answer as TopImages;
  const { rows, cols, maps, shared } = top;
  const mapped = maps.length > 0 && store.get("top_view") !== "image";
  const only = mapped && store.get("top_view") === "map";
  const together = store.get("map_scale") === "shared scale";
  const map = readAxis({ grid: [rows, cols], prefix: [], box });
  top.photos.forEach((one, i) => {
    const x = PADDING + (i % COLUMNS) * (TILE + GAP);
    const y = TOP + Math.floor(i / COLUMNS) * (height + 36);
    const own = maps[i] ? rangeOf(maps[i]) : shared;
    const scene = neuronScene(store, {
      photo: one,
      heat: mapped ? heatOf(maps[i], rows, cols, together ? shared : own) : null,
      map,
      ...(only && ALONE),
    });
    paintOverlay(context, { x, y, width: TILE, height }, 1, scene);
    write(`#${i + 1} ${labels[i] || names[i] || ""}`, x, y + height + 15, "12px", grey);
    write(activation(scores[i]), x + TILE, y + height + 15, "600 12px", style.color, true);
  });
  const scale = together
    ? `one scale, ${activation(shared.low)} to ${activation(shared.high)}`
    : "each map from its own minimum to its maximum";
  if (mapped) write(scale, PADDING, TOP + lines * (height + 36) + 12, "11px", grey);
  return canvas;
}
