// Clusters: the picture painted with the clusters of a layer, and how they change with depth.
import {
  type AlteredPicture,
  type ClusterCurves,
  type ClusterGuess,
  type ClustersAnswer,
  clusterPixels,
  DETAIL,
  NOISE,
  objectWords,
  VERSION,
  VERSIONS,
} from "../lib/clusters";
import { placeIn } from "../lib/geometry";
import { segmentColour } from "../lib/patch_features";
import type { TokenClustersState } from "../lib/state";
import { current, tokensOf } from "../lib/token_layer";
import { objectPixels, objectsOf, present } from "../lib/token_mask";
import { isPacked, unpack } from "../lib/wire";
import { drawClusterCurves } from "./clusters_curves";
import { drawClusterVersions } from "./clusters_versions";
import { attribute, el, listen, section, setNote, setText } from "./dom";
import type { OpenTab } from "./inspector";
import { drawMaskBrush } from "./mask_brush";
import { slider } from "./overlay_controls";
import type { OverlayScene } from "./overlay_painter";
import { drawPatchStage } from "./patch_stage";
import { photoCache } from "./photo";
import { rgbaPixels } from "./pixels";
import { saveScenes } from "./save_scenes";
import { segmented } from "./segmented";
import { drawTokenChoices, drawTokenFrame } from "./token_tab";
import type { View } from "./view";

const MOST_LISTED = 24;

const WHAT = {
  patches:
    "All patches, clustered by DBSCAN. Purity, the cosine in an object and unique labels need objects.",
  objects: "Only the patches of objects, clustered by DBSCAN and compared with the objects.",
} as const;

export function drawClustersTab(
  element: HTMLElement,
  view: View<TokenClustersState>,
  leave: () => boolean,
): OpenTab {
  const { store, signal } = view;
  const [look, brushes, chips, images, layers] = [1, 2, 3, 4, 5].map(() => el("div"));
  const altered = el("p", "vw-note");
  const plots = el("div");
  const [what, note, mask, guessNote] = [el("p"), el("p"), el("p"), el("p")];
  for (const one of [what, note, mask, guessNote]) one.className = "vw-note";
  attribute(note, { role: "status" });
  const numbers = el("div", "vw-feature-numbers");
  const guess = el("button", "vw-button", { type: "button" }, "Take TokenCut's object");
  const progress = el("span", "vw-muted vw-small", { role: "status" });
  const stop = el("button", "vw-button", { type: "button" });
  const versions = el("div");
  const choice = segmented(view, "clusters_of", "what is clustered", [
    { value: "patches", text: "all patches" },
    { value: "objects", text: "objects" },
  ]);
  const eps = el("p", "vw-note vw-number");
  const columns = el(
    "div",
    "vw-columns vw-clusters",
    {},
    el("div", "vw-column vw-column-look", {}, look, altered, brushes, chips, images),
    el(
      "div",
      "vw-column vw-column-compare",
      {},
      layers,
      el(
        "section",
        "vw-section",
        {},
        el(
          "div",
          "vw-bar",
          {},
          el("span", "vw-title", {}, "Over depth"),
          el("div", "vw-tools", {}, progress, stop),
        ),
        plots,
        note,
      ),
      section("Versions of the image", versions),
    ),
    el(
      "div",
      "vw-column vw-column-numbers",
      {},
      section(
        "Clusters",
        choice,
        what,
        reach(view),
        eps,
        numbers,
        slider(view, "opacity", {}, two),
      ),
      section("Objects", mask, guess, guessNote),
    ),
  );
  element.append(columns);

  const photoOf = photoCache();
  const settings = () =>
    [store.get("clusters_cells"), store.get("clusters_dropped"), store.get("clusters_seed")].join();
  /** Whether an answer is about what is selected, but for the layer and the version. */
  function asked(answer: { image_index?: number; settings?: number[] }): boolean {
    const given = (answer.settings ?? []).join(); // "" of arrays that anybody gives
    const mine = given === "" || given === settings();
    return mine && answer.image_index === store.get("image_index");
  }
  function same(answer: Partial<ClusterCurves & ClustersAnswer>): boolean {
    return (
      asked(answer) &&
      answer.clustered === store.get("clusters_of") &&
      answer.reach === store.get("clusters_reach")
    );
  }
  function clusters(): ClustersAnswer | null {
    const found = store.get("clusters") as Partial<ClustersAnswer>;
    const mine =
      same(found) &&
      found.layer === store.get("layer") &&
      found.version === store.get("clusters_version");
    return mine ? (found as ClustersAnswer) : null;
  }
  function curves(): ClusterCurves | null {
    const found = store.get("clusters_curves") as Partial<ClusterCurves>;
    return same(found) ? (found as ClusterCurves) : null;
  }
  /** The altered picture, or null where the image is shown as it is. */
  function picture(): AlteredPicture | null {
    const found = store.get("clusters_picture") as Partial<AlteredPicture>;
    const mine = asked(found) && found.version === store.get("clusters_version");
    return mine ? (found as AlteredPicture) : null;
  }

  function over(): Partial<OverlayScene> {
    const tokens = tokensOf(store);
    if (brush.inHand.get() !== null && tokens) {
      // what is drawn lies on the image as it is
      return {
        cells: rgbaPixels(objectPixels(objectsOf(store, tokens.reference)), tokens.reference.cols),
        map: tokens.reference,
      };
    }
    const shown = picture();
    const photo = shown && isPacked(shown.pixels) ? { photo: photoOf(shown.pixels) } : {};
    const found = clusters();
    if (!found || !isPacked(found.labels)) return photo;
    const { codes, shape } = unpack(found.labels);
    const [rows, cols] = shape;
    return {
      ...photo,
      cells: rgbaPixels(clusterPixels(codes, rows, cols), cols * DETAIL),
    };
  }
  const stage = drawPatchStage(look, view, {
    label: () => `clusters, ${VERSION[store.get("clusters_version")].text}`,
    over,
  });
  const brush = drawMaskBrush(brushes, view, stage.element);
  drawTokenChoices(view, { chips, images, layers });
  const drawCurves = drawClusterCurves(plots, view, curves);
  const drawVersions = drawClusterVersions(versions, view, curves);

  listen(
    stop,
    "click",
    () => store.set("clusters_measuring", !store.get("clusters_measuring")),
    signal,
  );
  listen(
    guess,
    "click",
    () => {
      const [layer, image_index] = [store.get("layer"), store.get("image_index")];
      store.set("clusters_guess", { layer, image_index, note: "" });
    },
    signal,
  );
  // who draws an object wants to see it compared
  let before: number | null = null;
  brush.inHand.on(() => {
    const tokens = tokensOf(store);
    const done = before !== null && brush.inHand.get() === null;
    if (done && tokens && present(objectsOf(store, tokens.reference)).length > 0)
      store.set("clusters_of", "objects");
    before = brush.inHand.get();
    view.paint(draw);
  });

  function say(): string {
    const tokens = tokensOf(store);
    const place = stage.pointed.get() ?? (tokens && placeIn(store.get("query"), tokens));
    const found = clusters();
    if (!place) return "";
    const where = `patch (${place.row}, ${place.col})`;
    if (!found || !isPacked(found.labels)) return where;
    const { codes, shape } = unpack(found.labels);
    const label = codes[place.row * shape[1] + place.col];
    if (label === undefined) return where;
    if (label < NOISE) return `${where}: takes no part`;
    if (label === NOISE) return `${where}: noise, in no cluster`;
    return `${where}: cluster ${label}, ${found.sizes[label]} patches${mostly(found, label)}`;
  }
  function mostly(found: ClustersAnswer, label: number): string {
    const owner = ownerWords(found, label);
    return owner && `, mostly of ${owner}`;
  }
  /** The most frequent object of a cluster. */
  function ownerWords({ owners }: ClustersAnswer, label: number): string {
    const answer = curves();
    const owner = owners[label];
    if (owner === undefined) return "";
    const isRest = answer?.rest && owner === answer.objects.at(-1)?.[0];
    return isRest ? "the rest" : `object ${owner}`;
  }
  const drawSaid = drawTokenFrame(
    element,
    view,
    {
      say,
      keys: [
        ["v", "paint the next version"],
        ["p o", "all patches, objects"],
      ],
      press(key, control) {
        if (control || !"vpo".includes(key)) return false;
        const at = VERSIONS.indexOf(store.get("clusters_version"));
        if (key === "v") store.set("clusters_version", VERSIONS[(at + 1) % VERSIONS.length]);
        else store.set("clusters_of", key === "p" ? "patches" : "objects");
        return true;
      },
    },
    () => brush.putDown() || leave(),
  );

  function draw(): void {
    const [found, answer, shown] = [clusters(), curves(), picture()];
    setText(what, WHAT[store.get("clusters_of")]);
    setText(eps, found && !found.note ? `Neighbours lie within ${found.eps.toPrecision(3)}.` : "");
    setNote(note, found?.note || answer?.note || current(store)?.note || "");
    setNote(altered, shown ? shown.note || capitalised(shown.words) : "");
    numbers.replaceChildren(...(found ? lines(found) : []));
    setText(mask, maskWords(answer));
    const said = store.get("clusters_guess") as Partial<ClusterGuess>;
    setNote(guessNote, said.note ?? "");
    const left = answer ? answer.total - answer.done : 0;
    const measuring = store.get("clusters_measuring");
    setText(progress, left > 0 ? `${answer?.done} of ${answer?.total} layers` : "");
    setText(stop, measuring ? "Stop" : "Measure");
    stop.hidden = measuring && left <= 0;
    attribute(element, {
      "data-answer": found ? "current" : "stale",
      "data-curves": answer ? (left > 0 ? "growing" : "current") : "stale",
    });
    drawCurves();
    drawVersions();
    stage.repaint();
    drawSaid();
  }
  function lines(found: ClustersAnswer): HTMLElement[] {
    const rows = found.sizes.slice(0, MOST_LISTED).map((size, cluster) => {
      const swatch = el("span", "vw-swatch");
      swatch.style.background = `rgb(${segmentColour(cluster).join()})`;
      const owner = ownerWords(found, cluster);
      return entry(swatch, `cluster ${cluster}${owner && ` · ${owner}`}`, String(size));
    });
    const more = found.sizes.length - MOST_LISTED;
    if (more > 0) rows.push(entry(el("span"), `${more} smaller clusters`, ""));
    if (found.noise > 0)
      rows.push(entry(el("span", "vw-swatch vw-swatch-noise"), "noise", String(found.noise)));
    return rows;
  }
  view.paintOn(
    [
      ...(["layer", "query", "image_index", "layer_labels", "token_layer", "token_mask"] as const),
      ...(["clusters_of", "clusters_reach", "clusters_version", "clusters_compared"] as const),
      ...(["clusters_cells", "clusters_dropped", "clusters_seed", "clusters_measuring"] as const),
      ...(["clusters", "clusters_picture", "clusters_curves", "clusters_guess"] as const),
    ],
    draw,
  );
  stage.pointed.on(drawSaid);

  return {
    drawn() {
      const found = clusters();
      if (!current(store) || !found) return "";
      return [found.image_index, found.layer, found.clustered, found.version].join(":");
    },
    problem: () => "",
    savePng: () =>
      saveScenes(
        [stage.scene()],
        `clusters-${store.get("clusters_version")}-layer-${store.get("layer")}.png`,
      ),
  };
}

function maskWords(answer: ClusterCurves | null): string {
  if (!answer || answer.objects.length === 0)
    return "None is marked in this image: draw one, or begin with a guess.";
  const words = objectWords(answer);
  return answer.guessed ? `${words}. TokenCut's guess, not truth.` : `${words}.`;
}

function reach(view: View<TokenClustersState>): HTMLElement {
  const words = (times: number) => `${times.toFixed(2)} ×`;
  return slider(view, "clusters_reach", { min: 0.1, max: 2, label: "eps" }, words);
}

function entry(swatch: HTMLElement, name: string, value: string): HTMLElement {
  const [words, number] = [el("span", "vw-muted", {}, name), el("span", "vw-number", {}, value)];
  return el("div", "vw-control", {}, swatch, words, number);
}

function two(value: number): string {
  return value.toFixed(2);
}

function capitalised(words: string): string {
  return words && `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}
