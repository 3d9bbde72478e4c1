// Patch features: the picture with one of six answers over it, and that answer in numbers.
import { type Place, placeIn } from "../lib/geometry";
import type { FeaturesView } from "../lib/patch_features";
import type { PatchFeaturesState } from "../lib/state";
import { current, tokensOf } from "../lib/token_layer";
import { attribute, el, section, setNote, setText } from "./dom";
import { classView } from "./features_class";
import { coloursView } from "./features_colours";
import { headsView } from "./features_heads";
import { objectView } from "./features_object";
import { segmentsView } from "./features_segments";
import { drawOntoStage, similarityView } from "./features_similarity";
import { type FeatureView, ownAxis, placeOn, setting } from "./features_view";
import type { OpenTab } from "./inspector";
import { drawImageControls } from "./overlay_controls";
import type { OverlayScene } from "./overlay_painter";
import { drawPatchStage } from "./patch_stage";
import { saveScenes } from "./save_scenes";
import { segmented } from "./segmented";
import { drawTokenChoices, drawTokenFrame } from "./token_tab";
import type { View } from "./view";

const VIEWS: readonly { value: FeaturesView; text: string; key: string }[] = [
  { value: "similarity", text: "Similar", key: "s" },
  { value: "colours", text: "Colours", key: "c" },
  { value: "segments", text: "Segments", key: "k" },
  { value: "object", text: "Object", key: "o" },
  { value: "class", text: "Like class", key: "l" },
  { value: "heads", text: "Heads", key: "h" },
];

const COMPARED: readonly FeaturesView[] = ["similarity", "colours", "segments", "object"];

export function drawFeaturesTab(
  element: HTMLElement,
  view: View<PatchFeaturesState>,
  leave: () => boolean,
): OpenTab {
  const { store } = view;
  const [look, onto, chips, images, layers] = Array.from({ length: 5 }, () => el("div"));
  const fitted = () =>
    setting(
      "fitted on",
      segmented(view, "features_images", "what it is fitted on", [
        { value: "this image", text: "this image" },
        { value: "all images", text: "all images" },
      ]),
    );
  const views: Record<FeaturesView, FeatureView> = {
    similarity: similarityView(view),
    colours: coloursView(view, fitted()),
    segments: segmentsView(view, fitted()),
    object: objectView(view),
    class: classView(view),
    heads: headsView(view),
  };
  const shown = () => store.get("features_view");
  const open = () => views[shown()];

  const of = setting(
    "compared by",
    segmented(view, "features_of", "what patches are compared by", [
      { value: "tokens", text: "tokens", title: "the residual stream after the block" },
      { value: "keys", text: "keys", title: "the keys of its attention, all heads" },
    ]),
  );
  const settings = Object.entries(views).map(([name, one]) => ({
    name,
    box: el("div", "vw-settings", {}, ...one.controls),
    below: el("div", "vw-feature-below", {}, ...(one.below ? [one.below] : [])),
  }));
  const what = el("p", "vw-note");
  const note = el("p", "vw-note", { role: "status" });
  const numbers = el("div", "vw-feature-numbers");
  const controls = el("div");
  const answer = section(
    "Features of patches",
    segmented(view, "features_view", "what is shown", VIEWS),
    what,
    of,
    ...settings.map(({ box }) => box),
    note,
    numbers,
    ...settings.map(({ below }) => below),
  );
  const columns = el(
    "div",
    "vw-columns vw-features",
    {},
    el("div", "vw-column vw-column-look", {}, el("div", "vw-pair", {}, look, onto), chips, images),
    el("div", "vw-column vw-column-compare", {}, layers, answer, controls),
  );
  element.append(columns);

  let pointed: () => Place | null = () => null;
  /** The answer over the picture; one that lies on a grid of its own brings it along. */
  function over(): Partial<OverlayScene> {
    const found = open().answer();
    const [map, tokens, place] = [found && ownAxis(found), tokensOf(store), pointed()];
    const moved = map && tokens && place ? placeOn(place, tokens.asked, map) : null;
    return { ...open().over(), ...(map ? { map, pointed: moved } : {}) };
  }
  const stage = drawPatchStage(look, view, {
    label: () => VIEWS.find(({ value }) => value === shown())?.text.toLowerCase() ?? "",
    over,
  });
  pointed = () => stage.pointed.get();
  const ontoScene = drawOntoStage(onto, view);
  drawTokenChoices(view, { chips, images, layers });
  drawImageControls(controls, view);

  /** The number at the patch under the pointer, or at the one that is asked about. */
  function say(): string {
    const tokens = tokensOf(store);
    const place = stage.pointed.get() ?? (tokens && placeIn(store.get("query"), tokens));
    if (!place || !tokens) return "";
    const found = open().answer();
    const own = found && ownAxis(found);
    const there = own ? placeOn(place, tokens.asked, own) : place;
    const number = there && open().number(there);
    const where = `patch (${place.row}, ${place.col})`;
    return number ? `${where}: ${number}` : where;
  }
  const drawSaid = drawTokenFrame(
    element,
    view,
    {
      say,
      keys: [
        [
          VIEWS.map(({ key }) => key).join(" "),
          VIEWS.map(({ text }) => text.toLowerCase()).join(", "),
        ],
        ["t", "tokens or keys"],
      ],
      press(key, control) {
        const chosen = control ? undefined : VIEWS.find((one) => one.key === key);
        if (chosen) store.set("features_view", chosen.value);
        else if (key === "t" && !control)
          store.set("features_of", store.get("features_of") === "tokens" ? "keys" : "tokens");
        else return false;
        return true;
      },
    },
    leave,
  );

  function draw(): void {
    const now = shown();
    const found = open().answer();
    setText(what, open().what);
    of.hidden = !COMPARED.includes(now);
    for (const { name, box, below } of settings) {
      box.hidden = name !== now;
      below.hidden = name !== now;
    }
    setNote(note, found?.note || current(store)?.note || "");
    numbers.replaceChildren(...open().lines());
    open().draw?.(stage.scene().photo);
    attribute(columns, { "data-pair": ontoScene() !== null });
    attribute(element, { "data-answer": found ? "current" : "stale", "data-view": now });
    stage.repaint();
    drawSaid();
  }
  view.paintOn(
    [
      ...(["layer", "query", "head", "image", "image_index", "token_layer"] as const),
      ...(["features_view", "features_of", "features_onto", "features_images"] as const),
      ...(["features_foreground", "features_k", "features_tau", "features_refined"] as const),
      ...(["features_top", "features_mass", "features_heads"] as const),
      ...(["similarity", "matches", "onto_picture", "colours", "segments"] as const),
      ...(["object_cut", "class_patches", "head_weights"] as const),
      ...(["opacity", "colormap"] as const),
    ],
    draw,
  );
  stage.pointed.on(drawSaid);

  return {
    drawn() {
      const about = current(store);
      if (!about || !open().answer()) return "";
      return [about.image_index, about.layer, store.get("query"), shown()].join(":");
    },
    problem: () => "",
    savePng: () =>
      saveScenes(
        [stage.scene(), ontoScene()].filter((one) => one !== null),
        `${store.get("features_view")}-layer-${store.get("layer")}.png`,
      ),
  };
}
