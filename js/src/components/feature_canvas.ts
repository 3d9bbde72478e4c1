// An image that is being optimised for a neuron: the picture, how far it is, and how it is made.
import { fillCode } from "../lib/code";
import {
  controls,
  type FeatureFor,
  isStale,
  nameOf,
  progressWords,
  selected,
} from "../lib/feature";
import type { FeatureCanvasState } from "../lib/state";
import { local } from "../lib/store";
import { isPacked, type Packed, unpack } from "../lib/wire";
import { copyText } from "./clipboard";
import { attribute, el, listen, onResize, setText } from "./dom";
import { saveCanvas } from "./download";
import { drawFeatureCopies } from "./feature_copies";
import { drawFeatureCurves } from "./feature_curves";
import { drawFeatureSettings } from "./feature_settings";
import { paintRgb } from "./pixels";
import type { View } from "./view";

const SAID_MS = 1600;
const TYPING = "input, select, textarea";

/** `layer` says which layer of neurons is selected, where that is not the trait itself. */
export function drawFeatureCanvas(
  element: HTMLElement,
  view: View<FeatureCanvasState>,
  layer: () => number = () => view.store.get("layer"),
): void {
  const { store, signal } = view;
  const chosen = local(0);
  const canvas = el("canvas", "vw-feature-picture", { "aria-hidden": "true" });
  const whose = el("span", "vw-feature-whose");
  const blank = el("p", "vw-feature-blank");
  const stage = el("div", "vw-feature-stage", { tabindex: 0, role: "img" }, canvas, whose, blank);
  const strip = el("div", "vw-feature-strip", { role: "group", "aria-label": "pictures" });
  const first = el("button", "vw-button vw-primary", { type: "button" });
  const stop = el("button", "vw-button", { type: "button", title: "keeps the best (s)" }, "Stop");
  const fill = el("span", "vw-progress-fill");
  const bar = el("span", "vw-progress-bar", { role: "progressbar", "aria-label": "steps" }, fill);
  const words = el("span", "vw-progress-text", { role: "status" });
  const row = el("div", "vw-feature-controls vw-progress", {}, first, stop, bar, words);
  const note = el("p", "vw-note");
  const detail = el("pre", "vw-notice-detail");
  const more = el("details", "vw-notice-more", {}, el("summary", "", {}, "Python message"), detail);
  const problem = el("div", "vw-feature-note", {}, note, more);
  const curves = el("div");
  const settings = el("div");
  const copies = el("div");
  const actions = el("div", "vw-actions vw-feature-actions");
  element.classList.add("vw-feature");
  element.append(stage, strip, row, problem, curves, settings, copies, actions);
  drawFeatureCurves(curves, view, chosen);
  drawFeatureSettings(settings, view);
  drawFeatureCopies(copies, view);

  const stale = () =>
    isStale(
      store.get("feature_for"),
      selected(layer(), store.get("neuron"), store.get("feature_settings")),
    );
  const now = () =>
    controls(
      store.get("feature_state"),
      store.get("feature_wanted"),
      store.get("feature_progress"),
      stale(),
    );

  // -- what a person does ------------------------------------------------------------------------
  function askFirst(): void {
    store.set("feature_wanted", now().first);
  }
  function askStop(): boolean {
    const { stop: wanted } = now();
    if (wanted) store.set("feature_wanted", wanted);
    return wanted !== null;
  }
  listen(first, "click", askFirst, signal);
  listen(stop, "click", askStop, signal);
  listen(
    element,
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if ((event.target as Element).closest(TYPING)) return;
      if (event.key === "p") askFirst();
      else if (event.key !== "s" || !askStop()) return;
      event.preventDefault();
      event.stopPropagation();
    },
    signal,
  );

  let timer = 0;
  signal.addEventListener("abort", () => clearTimeout(timer));
  function action(text: string, about: string, run: () => Promise<string>): HTMLButtonElement {
    const button = el("button", "vw-action", { type: "button", title: about }, text);
    listen(
      button,
      "click",
      async () => {
        setText(button, await run());
        clearTimeout(timer);
        timer = window.setTimeout(() => setText(button, text), SAID_MS);
      },
      signal,
    );
    actions.append(button);
    return button;
  }
  const copy = action("Copy as Python", "the lines that make this picture again", async () => {
    const lines = fillCode(store.get("feature_code"), (name) =>
      store.get(name as keyof FeatureCanvasState),
    );
    return (await copyText(lines, view.root)) ? "Copied" : "Not allowed here";
  });
  const png = action("PNG", "save the picture, one pixel for each of its own", () => {
    const name = nameOf(store.get("feature_for")) || "picture";
    return saveCanvas(canvas, `${name.replace(/[^\w.-]+/g, "_")}.png`).then(
      () => "Saved",
      () => "Not possible",
    );
  });

  // -- what is seen ------------------------------------------------------------------------------
  function drawPicture(): void {
    const many = store.get("feature_strip");
    const one = store.get("feature_image");
    const packed: Packed | null = isPacked(many) ? many : isPacked(one) ? one : null;
    const old = stale();
    const of = store.get("feature_for");
    canvas.hidden = packed === null;
    blank.hidden = packed !== null;
    png.hidden = packed === null;
    attribute(element, { "data-stale": old && packed !== null });
    if (packed && size.width > 0) {
      const { codes, shape } = unpack(packed);
      const [height, width] = shape.slice(-3);
      const at = isPacked(many) ? Math.min(chosen.get(), shape[0] - 1) : 0;
      paintRgb(canvas, codes, width, height, at * height * width * 3);
      stage.style.setProperty("--vw-aspect", String(width / height));
    }
    const name = nameOf(of) || "the neuron";
    setText(whose, old ? `${name}, not the one selected` : unusual(of));
    whose.hidden = packed === null || whose.textContent === "";
    setText(
      blank,
      store.get("feature_state") === "running"
        ? "The first picture is on its way."
        : "No picture yet. Start makes one that excites this neuron, step by step.",
    );
    const label = packed
      ? `image optimised for ${name}${of.objective ? `, ${of.objective}` : ""}`
      : "no picture yet";
    attribute(stage, { "aria-label": `${label}: p plays and pauses, s stops` });
  }

  let pictures: { button: HTMLButtonElement; canvas: HTMLCanvasElement; name: HTMLElement }[] = [];
  function drawStrip(): void {
    const packed = store.get("feature_strip");
    strip.hidden = !isPacked(packed);
    if (!isPacked(packed) || size.width === 0) return;
    const { codes, shape } = unpack(packed);
    const [count, height, width] = shape;
    const labels = store.get("feature_strip_labels");
    if (pictures.length !== count) {
      pictures = Array.from({ length: count }, (_, i) => {
        const small = el("canvas", "vw-image-canvas");
        const name = el("span", "vw-small vw-ellipsis");
        const button = el("button", "vw-image", { type: "button" }, small, name);
        listen(button, "click", () => chosen.set(i), signal);
        return { button, canvas: small, name };
      });
      strip.replaceChildren(...pictures.map((picture) => picture.button));
    }
    pictures.forEach((picture, i) => {
      paintRgb(picture.canvas, codes, width, height, i * height * width * 3);
      setText(picture.name, labels[i] ?? `picture ${i}`);
      attribute(picture.button, {
        "aria-pressed": String(i === Math.min(chosen.get(), count - 1)),
      });
    });
  }

  function drawControls(): void {
    const state = store.get("feature_state");
    const progress = store.get("feature_progress");
    const { text, stop: stopping, waiting } = now();
    setText(first, text);
    attribute(first, { title: text === "Pause" || text === "Resume" ? "p" : "begins anew (p)" });
    stop.hidden = stopping === null;
    const { step = 0, steps = 0, run = 0 } = progress;
    const part = steps > 0 ? step / steps : 0;
    const begun = steps > 0 && state !== "empty";
    bar.hidden = !begun;
    fill.style.width = `${(100 * part).toFixed(1)}%`;
    attribute(bar, { "aria-valuenow": step, "aria-valuemin": 0, "aria-valuemax": steps });
    setText(words, waiting ? "waiting for Python …" : begun ? progressWords(state, progress) : "");
    attribute(element, { "data-state": state, "data-run": run, "data-step": step });
  }

  function drawNote(): void {
    setText(note, store.get("feature_note"));
    setText(detail, store.get("feature_detail"));
    problem.hidden = note.textContent === "";
    more.hidden = detail.textContent === "";
    const failed = store.get("feature_state") === "failed";
    attribute(problem, { "data-state": failed ? "error" : null, role: failed ? "alert" : null });
  }

  // a canvas that is not on screen is drawn when it comes there
  const size = onResize(stage, () => view.paint(drawSeen), signal);
  function drawSeen(): void {
    drawPicture();
    drawStrip();
  }
  const selection = ["layer", "neuron", "feature_for", "feature_settings"] as const;
  view.paintOn(["feature_image", "feature_strip", "feature_state", ...selection], drawPicture);
  view.paintOn(["feature_strip", "feature_strip_labels"], drawStrip);
  view.paintOn(["feature_state", "feature_wanted", "feature_progress", ...selection], drawControls);
  view.paintOn(["feature_note", "feature_detail", "feature_state"], drawNote);
  view.paintOn(["feature_code"], () => {
    copy.hidden = store.get("feature_code") === "";
  });
  chosen.on(() => view.paint(drawSeen));
}

/** What is not said by "layer 3 · neuron 5". */
function unusual(of: FeatureFor): string {
  const { space = "ffn_act", objective = "" } = of;
  const words = space === "ffn_act" ? [] : [nameOf(of)];
  return [...words, ...(objective === "least active" ? [objective] : [])].join(", ");
}
