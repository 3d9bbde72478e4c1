// The image with the chosen map over it; where the query is chosen.
import { capital, listing } from "../lib/format";
import { queryName, remark } from "../lib/readout";
import type { PatchOverlayState } from "../lib/state";
import { attribute, context2d, el, onResize, setNote, setText, sizeCanvas } from "./dom";
import { matrixCanvas } from "./matrix_canvas";
import { paintOverlay } from "./overlay_painter";
import { bindPointer } from "./overlay_pointer";
import { photoCache } from "./photo";
import { drawPinStrip } from "./pin_strip";
import { sceneOf } from "./scene";
import { segmented } from "./segmented";
import { drawTokenChips } from "./token_chips";
import { type AttentionView, queryOf, tokensOf } from "./view";

export function drawPatchOverlay(
  element: HTMLElement,
  view: AttentionView<PatchOverlayState>,
): void {
  const { store, signal, attention, pointed } = view;
  const photoOf = photoCache();
  const title = el("span", "vw-title vw-nowrap");
  const subtitle = el("span", "vw-muted vw-ellipsis");
  const direction = segmented(view, "direction", "direction", [
    { value: "attends to", text: "attends to" },
    { value: "attended by", text: "attended by" },
  ]);
  const canvas = el("canvas", "vw-overlay-canvas", { "aria-hidden": "true" });
  const stage = el("div", "vw-stage", {
    tabindex: 0,
    role: "application",
    "aria-roledescription": "attention map",
    "data-focus": "picture",
  });
  stage.append(canvas);
  const record = el("div");
  const note = el("p", "vw-note");
  const chips = el("div");
  const pins = el("div");
  element.classList.add("vw-overlay");
  element.append(
    el("div", "vw-bar", {}, el("div", "vw-heading", {}, title, subtitle), direction),
    stage,
    record,
    note,
    chips,
    pins,
  );
  bindPointer(stage, view);
  const choosable = () => {
    const tokens = tokensOf(attention);
    const plain = queryOf(attention.shown()?.picture) === null;
    return tokens === null || plain || tokens.only !== "" ? null : tokens;
  };
  drawTokenChips(chips, view, choosable, view.paintRow);
  drawPinStrip(pins, view, photoOf);
  const drawRecord = matrixCanvas(record, view);

  function draw(): void {
    const shown = attention.shown();
    const layer = shown?.layer ?? null;
    const matrix = layer?.kind === "matrix";
    const photo = photoOf(attention.image());
    const query = queryOf(shown?.picture);
    const name = shown ? queryName(shown) || "map" : "";
    setText(title, matrix ? capital(`${layer.record} attention`) : capital(name) || "Image");
    setText(subtitle, subtitleOf());
    attribute(subtitle, { title: subtitle.textContent });
    stage.hidden = matrix;
    record.hidden = !matrix;
    direction.hidden = matrix || query === null;
    setNote(note, shown && !matrix ? remark(shown) : "");
    attribute(stage, { "data-waiting": attention.waitingSince() !== null && shown !== null });
    if (shown && matrix) drawRecord(shown);
    if (matrix) return;
    const aspect = photo ? photo.width / photo.height : layer ? layer.cols / layer.rows : 1;
    stage.style.setProperty("--vw-aspect", String(aspect));
    const heads = shown?.heads ?? [];
    const can = layer?.kind === "image" && layer.only ? "" : ": arrows move the query, space pins";
    attribute(stage, {
      "aria-label": shown
        ? `${name}, layer ${shown.layerIndex}, head ${listing(heads)}${can}`
        : "image",
    });
    if (!sizeCanvas(canvas, size.width, size.height)) return;
    const scene = sceneOf(view, shown, shown?.picture ?? null, photo);
    const cell = pointed.get();
    if (cell !== null && layer && store.get("pins").length > 0) {
      scene.pointed = { row: Math.floor(cell / layer.cols), col: cell % layer.cols };
    }
    const box = { x: 0, y: 0, width: canvas.width, height: canvas.height };
    paintOverlay(context2d(canvas), box, canvas.width / size.width, scene);
  }

  function subtitleOf(): string {
    const shown = attention.shown();
    if (shown && !shown.layer) return "this layer is not here yet";
    if (shown && shown.heads.length > 1) return `mean of heads ${listing(shown.heads)}`;
    return store.get("image_name");
  }

  view.paintRow(draw);
  view.paintOn(["pins", "image_name", "opacity", "drawing", "contour", "colormap"], draw);
  view.theme.on(() => view.paint(draw));
  pointed.on(() => store.get("pins").length > 0 && view.paint(draw));
  const size = onResize(stage, () => view.paint(draw), signal);
}
