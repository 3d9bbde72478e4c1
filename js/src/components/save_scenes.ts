// The picture with what lies over it as a PNG, or several beside each other.
import { context2d, el } from "./dom";
import { saveCanvas } from "./download";
import { type OverlayScene, paintOverlay } from "./overlay_painter";

const SIDE = 1200;
const GAP = 24;

export async function saveScenes(scenes: readonly OverlayScene[], name: string): Promise<void> {
  const sizes = scenes.map(({ photo }) => {
    const aspect = photo ? photo.width / photo.height : 1;
    return { width: SIDE * Math.min(1, aspect), height: SIDE / Math.max(1, aspect) };
  });
  const canvas = el("canvas");
  canvas.width = Math.round(sizes.reduce((sum, one) => sum + one.width + GAP, -GAP));
  canvas.height = Math.round(Math.max(...sizes.map((one) => one.height)));
  let x = 0;
  scenes.forEach((scene, i) => {
    paintOverlay(context2d(canvas), { x, y: 0, ...sizes[i] }, 2, scene);
    x += sizes[i].width + GAP;
  });
  await saveCanvas(canvas, name);
}
