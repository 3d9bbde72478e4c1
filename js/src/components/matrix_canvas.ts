// A record without a place on the image: queries down, keys across, never drawn on the picture.
import type { Shown } from "../lib/attention";
import { colormapFor, pixelTable } from "../lib/colormap";
import { placeAt, WHOLE } from "../lib/geometry";
import { meanHeat } from "../lib/heat";
import { remark } from "../lib/readout";
import type { PatchOverlayState } from "../lib/state";
import { el, listen, setText } from "./dom";
import { paintCells } from "./pixels";
import type { AttentionView } from "./view";

export function matrixCanvas(
  element: HTMLElement,
  view: AttentionView<PatchOverlayState>,
): (shown: Shown) => void {
  const { store, signal, attention, pointed } = view;
  const canvas = el("canvas", "vw-cells", { role: "img" });
  const frame = el("div", "vw-record-frame", {}, canvas);
  const reason = el("p", "vw-note");
  const across = el("span", "vw-record-axis");
  element.classList.add("vw-record");
  element.append(across, frame, reason);

  listen(
    frame,
    "pointermove",
    (event) => {
      const layer = attention.shown()?.layer;
      const box = canvas.getBoundingClientRect();
      if (layer?.kind !== "matrix" || box.width === 0) return;
      const at = placeAt(
        (event.clientX - box.left) / box.width,
        (event.clientY - box.top) / box.height,
        { rows: layer.rows, cols: layer.cols, extent: WHOLE },
      );
      pointed.set(at && at.row * layer.cols + at.col);
    },
    signal,
  );
  listen(frame, "pointerleave", () => pointed.set(null), signal);

  return (shown) => {
    const { layer, picture, heads } = shown;
    if (layer?.kind !== "matrix") return;
    const table = pixelTable(colormapFor(layer, store.get("colormap")));
    paintCells(canvas, meanHeat(layer, picture.row, heads), table);
    const aspect = Math.max(0.25, Math.min(4, layer.cols / layer.rows));
    frame.style.setProperty("--vw-aspect", String(aspect));
    const [down, right] = layer.axes;
    setText(
      across,
      `${down} ↓ ${layer.rows} · ${right} → ${layer.cols} · ${layer.record} attention`,
    );
    setText(reason, remark(shown));
    canvas.setAttribute(
      "aria-label",
      `${layer.rows} ${down} by ${layer.cols} ${right}, ${layer.record} attention`,
    );
  };
}
