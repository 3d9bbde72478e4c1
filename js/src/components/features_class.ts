// Patches that are like the class token, the box around the best of them, and what is in it.
import { signedHeat } from "../lib/patch_features";
import type { PatchFeaturesState } from "../lib/state";
import { isPacked, unpack } from "../lib/wire";
import { attribute, context2d, el } from "./dom";
import { answerOf, type FeatureView, frameOf, line, valueAt } from "./features_view";
import { slider } from "./overlay_controls";
import type { View } from "./view";

const CROP = 224; // pixels of its longer side

export function classView(view: View<PatchFeaturesState>): FeatureView {
  const { store } = view;
  const answer = () => answerOf(store, store.get("class_patches"));
  const canvas = el("canvas", "vw-crop", { role: "img", "aria-label": "what is in the box" });
  return {
    what: "GLSim: cosine of every patch to the class token, and a box around the best.",
    controls: [
      slider(
        view,
        "features_top",
        { min: 1, max: 64, step: 1, label: "patches in the box" },
        String,
      ),
    ],
    below: canvas,
    answer,
    over() {
      const found = answer();
      if (!found || !isPacked(found.values)) return {};
      const { codes, shape } = unpack(found.values);
      const best = new Uint8Array(codes.length);
      for (const [row, col] of found.patches) best[row * shape[1] + col] = 1;
      return {
        heat: signedHeat(codes, shape[0], shape[1]),
        outlined: [best],
        frame: frameOf(found.box),
      };
    },
    number(place) {
      const cosine = valueAt(answer()?.values ?? null, place);
      return cosine === null ? null : `cosine ${cosine.toFixed(3)}`;
    },
    lines() {
      const found = answer();
      if (!found || !isPacked(found.values)) return [];
      const [row, col] = found.patches[0];
      const best = valueAt(found.values, { row, col }) ?? Number.NaN;
      return [
        line(`best, patch (${row}, ${col})`, best.toFixed(3)),
        line("after the norm", found.norm || "none"),
      ];
    },
    draw(photo) {
      const frame = frameOf(answer()?.box ?? []);
      canvas.hidden = !photo || !frame;
      if (!photo || !frame) return;
      const [left, top] = [frame.left * photo.width, frame.top * photo.height];
      const width = (frame.right - frame.left) * photo.width;
      const height = (frame.bottom - frame.top) * photo.height;
      const scale = CROP / Math.max(width, height);
      attribute(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
      const context = context2d(canvas);
      context.imageSmoothingQuality = "high";
      context.drawImage(photo.plain, left, top, width, height, 0, 0, canvas.width, canvas.height);
    },
  };
}
