// The image in view with something over its patches, on every page about tokens: the pointer and the
// arrow keys choose a patch, and what is drawn is the page's own affair.
import { tokenName } from "../lib/format";
import { type Place, placeAt, placeIn, type Tokens, tokenUnder } from "../lib/geometry";
import { isArrow, moveQuery } from "../lib/keyboard";
import { pinLetter } from "../lib/selection";
import type { TokenPageState } from "../lib/state";
import { type Local, local } from "../lib/store";
import { current, tokensOf } from "../lib/token_layer";
import { isPacked } from "../lib/wire";
import { attribute, context2d, el, listen, onResize, sizeCanvas } from "./dom";
import { emptyScene, type OverlayScene, paintOverlay } from "./overlay_painter";
import { type Photo, photoCache } from "./photo";
import type { View } from "./view";

export interface PatchStage {
  /** Exactly as large as the picture, for whoever listens to more of the pointer. */
  element: HTMLElement;
  /** The patch under the pointer. */
  pointed: Local<Place | null>;
  /** Draws again, with everything else that changed in this frame. */
  repaint(): void;
  /** What is drawn now, for a PNG. */
  scene(): OverlayScene;
}

export interface StageOptions {
  /** What it is, for a screen reader: "similarity to patch (3, 4)". */
  label(): string;
  /** What lies over the picture. */
  over(): Partial<OverlayScene>;
}

export function drawPatchStage<S extends TokenPageState>(
  element: HTMLElement,
  view: View<S>,
  options: StageOptions,
): PatchStage {
  const { signal } = view;
  const store = view.store as unknown as View<TokenPageState>["store"];
  const photoOf = photoCache();
  const pointed = local<Place | null>(null);
  const canvas = el("canvas", "vw-overlay-canvas", { "aria-hidden": "true" });
  const stage = el("div", "vw-stage", {
    tabindex: 0,
    role: "application",
    "aria-roledescription": "patches",
    "data-focus": "picture",
  });
  stage.append(canvas);
  element.append(stage);
  const tokens = () => tokensOf(store);
  let seen: Tokens | null = null; // those of the picture that is still there while one is on its way

  function under(event: MouseEvent): Place | null {
    const axis = tokens()?.asked;
    const box = stage.getBoundingClientRect();
    if (!axis || box.width === 0) return null;
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    return placeAt(x / box.width, y / box.height, axis);
  }
  function point(place: Place | null): void {
    const was = pointed.get();
    if (was?.row !== place?.row || was?.col !== place?.col) pointed.set(place);
  }
  listen(
    stage,
    "pointermove",
    (event) => {
      if (event.pointerType !== "touch") point(under(event)); // a finger cannot hover
    },
    signal,
  );
  listen(stage, "pointerleave", () => point(null), signal);
  listen(
    stage,
    "click",
    (event) => {
      const [place, on] = [under(event), tokens()];
      const token = place && on ? tokenUnder(place, on) : null;
      if (token !== null) store.set("query", token);
    },
    signal,
  );
  listen(
    stage,
    "keydown",
    (event) => {
      const on = tokens() ?? (current(store) ? null : seen);
      if (!on || !isArrow(event.key)) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      store.set("query", moveQuery(store.get("query"), event.key, on));
    },
    signal,
  );

  function photo(): Photo | null {
    const packed = store.get("image");
    return photoOf(isPacked(packed) ? packed : null);
  }
  function scene(): OverlayScene {
    const on = tokens();
    return {
      ...emptyScene(store),
      photo: photo(),
      map: on?.asked ?? null,
      asked: on?.asked ?? null,
      query: on && placeIn(store.get("query"), on),
      pins: store.get("pins").flatMap((pin, i) => {
        const place = on && placeIn(pin, on);
        return place ? [{ place, letter: pinLetter(i) }] : [];
      }),
      pointed: pointed.get(),
      ...options.over(),
    };
  }
  function draw(): void {
    const now = scene();
    const { map } = now;
    const aspect = now.photo ? now.photo.width / now.photo.height : map ? map.cols / map.rows : 1;
    stage.style.setProperty("--vw-aspect", String(aspect));
    const asked = tokens();
    seen = asked ?? seen;
    const where = asked ? `; ${tokenName(store.get("query"), asked)}: arrows move` : "";
    attribute(stage, { "aria-label": `${options.label()}${where}` });
    if (!sizeCanvas(canvas, size.width, size.height)) return;
    const box = { x: 0, y: 0, width: canvas.width, height: canvas.height };
    paintOverlay(context2d(canvas), box, canvas.width / size.width, now);
  }
  const repaint = () => view.paint(draw);
  view.paintOn(
    [
      ...(["image", "image_index", "layer", "query", "pins", "token_layer"] as const),
      ...(["opacity", "drawing", "colormap"] as const),
    ],
    draw,
  );
  pointed.on(repaint);
  view.theme.on(repaint);
  const size = onResize(stage, repaint, signal);
  return { element: stage, pointed, repaint, scene };
}
