// Attribution: which places made the model say this, by several methods, each with its own test.
import {
  type AttributionCurves,
  type AttributionList,
  type AttributionMap,
  type AttributionPicture,
  isAbout,
  mapHeat,
} from "../lib/attribution";
import { isOf } from "../lib/explained";
import { plain } from "../lib/format";
import { type Axis, WHOLE } from "../lib/geometry";
import { type RawAxis, readAxis } from "../lib/packet";
import type { AttributionsState } from "../lib/state";
import { current, tokensOf } from "../lib/token_layer";
import { objectPixels, objectsOf } from "../lib/token_mask";
import { isPacked, unpack } from "../lib/wire";
import { drawMethods, drawSettings } from "./attribution_methods";
import { drawTests } from "./attribution_tests";
import { attribute, context2d, el, listen, setText } from "./dom";
import { saveCanvas } from "./download";
import { drawExplained } from "./explained_choice";
import { placeOn } from "./features_view";
import { drawImageStrip } from "./image_strip";
import type { OpenTab } from "./inspector";
import { drawLayerSlider } from "./layer_slider";
import { drawMaskBrush } from "./mask_brush";
import { drawImageControls } from "./overlay_controls";
import { type OverlayScene, paintOverlay } from "./overlay_painter";
import { drawPatchStage } from "./patch_stage";
import { photoCache } from "./photo";
import { drawTokenFrame } from "./token_tab";
import type { View } from "./view";

export function drawAttributionTab(
  element: HTMLElement,
  view: View<AttributionsState>,
  leave: () => boolean,
): OpenTab {
  const { store, signal } = view;
  const [look, brushes, images, layers, grid, settings, tests, controls] = Array.from(
    { length: 8 },
    () => el("div"),
  );
  settings.className = "vw-settings";
  const [target, about, note, listNote] = [el("p"), el("p"), el("p"), el("p")];
  for (const one of [about, note, listNote]) one.className = "vw-note";
  target.className = "vw-attribution-target";
  attribute(note, { role: "status" });
  const progress = el("span", "vw-muted vw-small", { role: "status" });
  const stop = el("button", "vw-button", { type: "button" });
  const caption = el("p", "vw-note");
  const explained = el("div");
  drawExplained(explained, view);
  element.append(
    el(
      "div",
      "vw-columns vw-attribution",
      {},
      el(
        "div",
        "vw-column vw-column-look",
        {},
        look,
        caption,
        brushes,
        images,
        el(
          "section",
          "vw-section",
          {},
          el("div", "vw-bar", {}, el("span", "vw-title", {}, "This map")),
          about,
          settings,
          note,
        ),
        controls,
      ),
      el(
        "div",
        "vw-column vw-column-compare",
        {},
        el("section", "vw-section", {}, explained, target),
        el(
          "section",
          "vw-section",
          {},
          el(
            "div",
            "vw-bar",
            {},
            el("span", "vw-title", {}, "Maps"),
            el("div", "vw-tools", {}, progress, stop),
          ),
          listNote,
          grid,
        ),
        layers,
      ),
      el(
        "div",
        "vw-column vw-column-numbers",
        {},
        el(
          "section",
          "vw-section",
          {},
          el("div", "vw-bar", {}, el("span", "vw-title", {}, "Its test")),
          tests,
        ),
      ),
    ),
  );

  const photoOf = photoCache();
  function answer<T extends object>(found: object): T | null {
    return isAbout(found, store.get("image_index"), store.get("explained")) ? (found as T) : null;
  }
  const list = () => answer<AttributionList>(store.get("attribution_list"));
  function curves(): AttributionCurves | null {
    const found = store.get("attribution_curves") as Partial<AttributionCurves>;
    if (found.over !== store.get("attribution_over")) return null;
    if (found.over === "this image") return answer<AttributionCurves>(found);
    return isOf(found.explained, store.get("explained")) ? (found as AttributionCurves) : null;
  }
  const methods = () => list()?.methods ?? [];
  const method = () =>
    methods().find(({ name }) => name === store.get("attribution_method")) ?? null;
  function map(): AttributionMap | null {
    const found = answer<AttributionMap>(store.get("attribution"));
    return found?.method === store.get("attribution_method") ? found : null;
  }
  function picture(): AttributionPicture | null {
    const found = answer<AttributionPicture>(store.get("attribution_picture"));
    const mine = found?.method === store.get("attribution_method");
    return mine && store.get("attribution_step") >= 0 ? found : null;
  }

  /** The values of the large map and where they lie. */
  function large(): { values: Float32Array; axis: Axis } | null {
    const found = map();
    if (!found || !isPacked(found.values)) return null;
    const { codes, shape } = unpack(found.values);
    const [rows, cols] = shape;
    const pixels: Axis = { rows, cols, prefix: 0, names: [], extent: WHOLE };
    const axis = "grid" in found.axis ? readAxis(found.axis as RawAxis) : pixels;
    return { values: codes as Float32Array, axis };
  }
  function over(): Partial<OverlayScene> {
    const still = { query: null, pins: [] };
    const tokens = tokensOf(store);
    if (brush.inHand.get() !== null && tokens) {
      const { rows, cols } = tokens.reference;
      const cells = new ImageData(cols, rows);
      cells.data.set(objectPixels(objectsOf(store, tokens.reference)));
      return { ...still, cells, map: tokens.reference };
    }
    const shown = picture();
    if (shown && isPacked(shown.pixels)) return { ...still, photo: photoOf(shown.pixels) };
    const now = large();
    if (!now) return still;
    const { axis, values } = now;
    const place = stage.pointed.get();
    const heat = mapHeat(values, axis.rows, axis.cols, map()?.signed ?? false);
    const pointed = place && tokens ? placeOn(place, tokens.asked, axis) : null;
    return { ...still, heat, map: axis, pointed };
  }
  const stage = drawPatchStage(look, view, {
    label: () => `${method()?.words ?? "map"} of ${map()?.target || "no class"}`,
    over,
  });
  const brush = drawMaskBrush(brushes, view, stage.element);
  drawImageStrip(images, view);
  drawLayerSlider(layers, view);
  drawImageControls(controls, view);
  const drawGrid = drawMethods(grid, view, list);
  const drawOwn = drawSettings(settings, view, method);
  const drawTest = drawTests(tests, view, curves, methods);
  listen(
    stop,
    "click",
    () => store.set("attribution_running", !store.get("attribution_running")),
    signal,
  );
  brush.inHand.on(() => view.paint(draw));

  function say(): string {
    const [now, tokens, place] = [large(), tokensOf(store), stage.pointed.get()];
    const name = method()?.words ?? "";
    if (!now || !tokens || !place) return name;
    const there = placeOn(place, tokens.asked, now.axis);
    const value = there ? now.values[there.row * now.axis.cols + there.col] : Number.NaN;
    const number = Number.isFinite(value) ? value.toPrecision(3).replace("-", "−") : "–";
    return `${name}, patch (${place.row}, ${place.col}): ${number}`;
  }
  function step(by: number): void {
    const names = methods().map(({ name }) => name);
    const at = names.indexOf(store.get("attribution_method"));
    const next = names[Math.max(0, Math.min(names.length - 1, at + by))];
    if (next) store.set("attribution_method", next);
  }
  const drawSaid = drawTokenFrame(
    element,
    view,
    {
      say,
      keys: [
        ["← →", "map"],
        ["d i", "deletion, insertion"],
        ["s", "stop, continue"],
      ],
      press(key, control) {
        if (control) return false;
        if (key === "ArrowLeft" || key === "ArrowRight") step(key === "ArrowLeft" ? -1 : 1);
        else if (key === "d" || key === "i")
          store.set("attribution_curve", key === "d" ? "deletion" : "insertion");
        else if (key === "s") store.set("attribution_running", !store.get("attribution_running"));
        else return false;
        return true;
      },
    },
    () => brush.putDown() || leave(),
  );

  function draw(): void {
    const [found, now, one] = [list(), map(), method()];
    const score =
      typeof found?.score === "number" ? ` · score ${plain(found.score).replace("-", "−")}` : "";
    setText(target, found ? `${found.target}${score}` : "");
    setText(
      about,
      one ? `${one.words}. ${one.about}${one.target ? "" : " It knows no class."}` : "",
    );
    const state =
      one?.state === "waiting"
        ? [store.get("attribution_running") ? "on its way" : "stopped before it was made"]
        : [];
    setText(
      note,
      [current(store)?.note, ...(now?.notes ?? []), ...state].filter(Boolean).join(" · "),
    );
    note.hidden = note.textContent === "";
    const shown = picture();
    setText(
      caption,
      shown
        ? `The picture at step ${shown.step} of ${shown.curve}.`
        : now && isPacked(now.values)
          ? `${now.target || "no class"} · √ scale${now.signed ? ", blue against, red for" : ""}`
          : "",
    );
    setText(listNote, found?.note ?? "");
    listNote.hidden = listNote.textContent === "";
    const left = found ? found.total - found.done : 0;
    const running = store.get("attribution_running");
    setText(progress, left > 0 ? `${found?.done} of ${found?.total}` : "");
    setText(stop, running ? "Stop" : "Continue");
    stop.hidden = running && left <= 0;
    attribute(element, {
      "data-answer": now ? "current" : "stale",
      "data-left": found ? left : null,
    });
    const image = store.get("image");
    drawGrid(photoOf(isPacked(image) ? image : null));
    drawOwn();
    drawTest();
    stage.repaint();
    drawSaid();
  }
  view.paintOn(
    [
      ...(["layer", "image", "image_index", "token_layer", "token_mask", "colormap"] as const),
      ...(["explained", "attribution_over"] as const),
      ...(["attribution_method", "attribution_settings", "attribution_running"] as const),
      ...(["attribution_curve", "attribution_step", "attribution_list", "attribution"] as const),
      ...(["attribution_curves", "attribution_picture"] as const),
    ],
    draw,
  );
  stage.pointed.on(drawSaid);

  return {
    drawn() {
      const now = map();
      if (!now || !isPacked(now.values)) return "";
      return [now.image_index, now.method, JSON.stringify(now.explained)].join(":");
    },
    problem: () => "",
    async savePng() {
      const scene = stage.scene();
      const canvas = el("canvas");
      const aspect = scene.photo ? scene.photo.width / scene.photo.height : 1;
      canvas.width = Math.round(1200 * Math.min(1, aspect));
      canvas.height = Math.round(1200 / Math.max(1, aspect));
      const box = { x: 0, y: 0, width: canvas.width, height: canvas.height };
      paintOverlay(context2d(canvas), box, 2, scene);
      await saveCanvas(canvas, `${store.get("attribution_method")}.png`);
    },
  };
}
