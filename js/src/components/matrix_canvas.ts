// A record without a place on the image: queries down, keys across, never drawn on the picture.
import type { Shown } from "../lib/attention";
import { pixelTable } from "../lib/colormap";
import { placeAt } from "../lib/geometry";
import { meanHeat } from "../lib/heat";
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
        event.clientX - box.left,
        event.clientY - box.top,
        { rows: layer.rows, cols: layer.cols, prefix: 0 },
        box.width,
        box.height,
      );
      pointed.set(at && at.row * layer.cols + at.col);
    },
    signal,
  );
  listen(frame, "pointerleave", () => pointed.set(null), signal);

  return ({ layer, picture, heads }) => {
    if (layer?.kind !== "matrix") return;
    paintCells(canvas, meanHeat(layer, picture.row, heads), pixelTable(store.get("colormap")));
    const aspect = Math.max(0.25, Math.min(4, layer.cols / layer.rows));
    frame.style.setProperty("--vw-aspect", String(aspect));
    setText(across, `queries ↓ ${layer.rows} · keys → ${layer.cols} · ${layer.record} attention`);
    setText(reason, [layer.reason, layer.note].filter(Boolean).join(" "));
    canvas.setAttribute("aria-label", `${layer.rows} by ${layer.cols} attention matrix`);
  };
}
