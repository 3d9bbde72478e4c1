// What every page about tokens has around its own parts: prefix tokens to choose, keys, a footer.
import { tokenName } from "../lib/format";
import { clampIndex } from "../lib/geometry";
import { togglePin } from "../lib/selection";
import type { TokenPageState } from "../lib/state";
import { current, tokensOf } from "../lib/token_layer";
import { announcer } from "./announce";
import { attribute, el, setText } from "./dom";
import { drawImageStrip } from "./image_strip";
import { keyHints, keyList, onKeys } from "./keys";
import { drawLayerSlider } from "./layer_slider";
import { drawProgress, type Waiting } from "./status";
import { drawTokenChips } from "./token_chips";
import type { View } from "./view";

export interface TokenFrame {
  /** What the footer says of the patch that is looked at, in numbers; "" for nothing. */
  say(): string;
  /** Keys of this page beside those of all. */
  keys: readonly [keys: string, meaning: string][];
  /** Handles a key; true: handled. `control`: it was pressed in a control with keys of its own. */
  press?(key: string, control: boolean): boolean;
}

/** Adds the list of keys and the footer; what it returns draws the footer again. */
export function drawTokenFrame<S extends TokenPageState>(
  element: HTMLElement,
  full: View<S>,
  frame: TokenFrame,
  leave: () => boolean,
): () => void {
  const view = full as unknown as View<TokenPageState>;
  const list = keyList([
    ...frame.keys,
    ["↑ ↓", "layer"],
    ["arrows on the image", "the patch that is asked about"],
    ["Space", "pin the patch; again to unpin"],
    ["[ ]", "image"],
    ["?", "this list"],
  ]);
  const footer = el("footer");
  element.append(list.element, footer);
  const draw = drawTokenFooter(footer, view, frame, list.toggle);
  bindKeys(view, frame, {
    help: list.toggle,
    escape: () => list.close() || leave(),
  });
  return draw;
}

/** Prefix tokens, images and layers to choose from. */
export function drawTokenChoices<S extends TokenPageState>(
  full: View<S>,
  { chips, images, layers }: Record<"chips" | "images" | "layers", HTMLElement>,
): void {
  const view = full as unknown as View<TokenPageState>;
  drawTokenChips(
    chips,
    view,
    () => tokensOf(view.store),
    (paint) => view.paintOn(["token_layer"], paint),
  );
  drawImageStrip(images, view);
  drawLayerSlider(layers, view);
}

function bindKeys(
  view: View<TokenPageState>,
  frame: TokenFrame,
  own: { help(): boolean; escape(): boolean },
): void {
  const { store } = view;
  function step(key: "layer" | "image_index", by: number): boolean {
    const count = store.get(key === "layer" ? "layer_labels" : "image_names").length;
    if (count < 2) return false;
    store.set(key, clampIndex(store.get(key) + by, count));
    return true;
  }
  function unpin(): boolean {
    if (store.get("pins").length === 0) return false;
    store.set("pins", []);
    return true;
  }
  function run(key: string, control: boolean): boolean {
    if (key === "?") return own.help();
    if (key === "Escape") return own.escape() || unpin();
    if (frame.press?.(key, control)) return true;
    if (key === "[") return step("image_index", -1);
    if (key === "]") return step("image_index", 1);
    if (control) return false; // sliders and choices have arrows of their own
    if (key === "ArrowUp") return step("layer", -1);
    if (key === "ArrowDown") return step("layer", 1);
    if (key !== " ") return false;
    store.set("pins", togglePin(store.get("pins"), store.get("query")));
    return true;
  }
  onKeys(view, run);
}

function drawTokenFooter(
  element: HTMLElement,
  view: View<TokenPageState>,
  frame: TokenFrame,
  help: () => void,
): () => void {
  const { store, signal } = view;
  const parts = { layer: el("b"), token: el("b"), image: el("b"), said: el("b", "vw-number") };
  const word = (text: string) => el("span", "vw-muted", {}, text);
  const picture = el("span", "", {}, word("image "), parts.image);
  const spoken = announcer(signal);
  const read = el(
    "div",
    "vw-readout",
    {},
    el("span", "", {}, word("layer "), parts.layer),
    el("span", "", {}, word("token "), parts.token),
    picture,
    el("span", "vw-readout-value", {}, parts.said),
    spoken.element,
  );
  const progress = el("div");
  const hints = keyHints(
    [...frame.keys.slice(0, 1), ["↑ ↓", "layer"], ["space", "pin"]],
    help,
    signal,
  );
  element.classList.add("vw-footer");
  element.append(read, progress, ...hints);
  drawProgress(progress, view, waiting(view));

  function draw(): void {
    const name = store.get("image_names")[store.get("image_index")] || store.get("image_name");
    setText(parts.layer, String(store.get("layer")));
    setText(parts.token, tokenName(store.get("query"), tokensOf(store)));
    setText(parts.image, name);
    picture.hidden = name === "";
    setText(parts.said, frame.say());
    attribute(element, { "data-layer": store.get("layer") });
    const words = `Layer ${store.get("layer")}, ${parts.token.textContent}, ${parts.said.textContent}`;
    spoken.say(words);
  }
  view.paintOn(["layer", "query", "image_index", "image_names", "image_name", "token_layer"], draw);
  return () => view.paint(draw);
}

function waiting({ store, signal }: View<TokenPageState>): Waiting {
  const listeners = new Set<() => void>();
  let since: number | null = null;
  function look(): void {
    since = current(store) ? null : (since ?? performance.now());
    for (const listener of [...listeners]) listener();
  }
  for (const key of ["layer", "image_index", "token_layer"] as const) store.on(key, look, signal);
  look();
  return {
    since: () => since,
    shown: () => "another selection",
    on: (changed) => listeners.add(changed),
  };
}
