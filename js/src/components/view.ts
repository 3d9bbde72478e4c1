// One view: its root element, its store, and what all components in it share.
import { type Attention, type AttentionTraits, attentionOf, type Picture } from "../lib/attention";
import type { ImageLayer } from "../lib/packet";
import type { CommonState } from "../lib/state";
import { type Local, local, type Store } from "../lib/store";
import { backgroundBehind, onThemeChange, type Theme, themeOf } from "../lib/theme";
import { attribute, el, onResize } from "./dom";

/** Marks the query, and nothing else; no colour map passes through it alone. */
export const AMBER = "#ffb020";

/** Behind cells without a value in small maps. */
export const UNSEEN = "#8888884d";

const FRAME_MS = 16;
const KEEP_KEYS = { "data-lm-suppress-shortcuts": "true" };

export interface View<S> {
  root: HTMLElement;
  store: Store<S>;
  /** Ends with the view: every listener, timer and observer hangs on it. */
  signal: AbortSignal;
  theme: Local<Theme>;
  /** Paints once, together with everything else that changed in the same event or frame. */
  paint(draw: () => void): void;
  /** Paints now and whenever one of the traits changes. */
  paintOn(keys: readonly (keyof S)[], draw: () => void): void;
  /** Tells `data-drawn` what is on screen, after each frame. */
  drawn: Local<() => string>;
  /** Whether it is on screen; a tab that is not draws nothing and takes no keys. */
  open(): boolean;
}

/** A view of attention: the row that is shown and the cell that is pointed at. */
export interface AttentionView<S> extends View<S> {
  attention: Attention;
  /** The cell of the map under the pointer, or null. */
  pointed: Local<number | null>;
  paintRow(draw: () => void): void;
}

/** Makes the root element, which takes the focus and carries the theme. */
export function createView<S extends CommonState>(
  host: HTMLElement,
  store: Store<S>,
  signal: AbortSignal,
  name: string,
): View<S> {
  const root = el("div", "vw-root", {
    tabindex: 0,
    role: "group",
    "aria-label": name,
    ...KEEP_KEYS,
  });
  root.style.setProperty("--vw-query", AMBER);
  host.append(root);
  signal.addEventListener("abort", () => root.remove());

  const theme = local<Theme>("light");
  function readTheme(): void {
    const wanted = store.get("theme");
    const behind = themeOf(
      backgroundBehind(root),
      matchMedia("(prefers-color-scheme: dark)").matches,
    );
    theme.set(wanted === "light" || wanted === "dark" ? wanted : behind);
    // the host's own colours are used only when they are of the same kind
    attribute(root, { "data-theme": theme.get(), "data-host": theme.get() === behind });
  }
  readTheme();
  store.on("theme", readTheme, signal);
  onThemeChange(readTheme, signal);

  // Notebooks have shortcuts on whatever has the focus; only the focused element itself is asked.
  const guard = (event: Event) => attribute(event.target as Element, KEEP_KEYS);
  root.addEventListener("focusin", guard, { signal });

  const drawn = local(() => "");
  const dirty = new Set<() => void>();
  let frame = 0;
  let painted = 0;
  function flush(): void {
    if (signal.aborted) return;
    frame = 0;
    painted = performance.now();
    const draws = [...dirty];
    dirty.clear();
    for (const draw of draws) draw();
    if (size.width > 0) attribute(root, { "data-ready": 1, "data-drawn": drawn.get()() });
  }
  function paint(draw: () => void): void {
    if (signal.aborted) return;
    dirty.add(draw);
    if (frame) return;
    // The first change after a pause is painted as soon as the event is over, so that it is in the
    // very next frame; what follows at once waits for a frame of its own.
    if (performance.now() - painted > FRAME_MS) {
      frame = -1;
      queueMicrotask(flush);
    } else frame = requestAnimationFrame(flush);
  }
  signal.addEventListener("abort", () => cancelAnimationFrame(frame));
  function paintOn(keys: readonly (keyof S)[], draw: () => void): void {
    for (const key of keys) store.on(key, () => paint(draw), signal);
    paint(draw);
  }
  // a view that was hidden when it was made is attached later: look again
  const resized = () => {
    readTheme();
    paint(() => undefined);
  };
  const size = onResize(root, resized, signal);
  return { root, store, signal, theme, paint, paintOn, drawn, open: () => true };
}

/** The same view behind a tab: what changes while it is closed is drawn once when it opens. */
export function whileOpen<S>(view: View<S>, keys: readonly (keyof S)[], open: () => boolean) {
  const { store, signal } = view;
  const missed = new Set<() => void>();
  function paint(draw: () => void): void {
    if (open()) view.paint(draw);
    else missed.add(draw);
  }
  function catchUp(): void {
    if (!open()) return;
    for (const draw of missed) view.paint(draw);
    missed.clear();
  }
  for (const key of keys) store.on(key, catchUp, signal);
  function paintOn(keys: readonly (keyof S)[], draw: () => void): void {
    for (const key of keys) store.on(key, () => paint(draw), signal);
    paint(draw);
  }
  return { ...view, paint, paintOn, open };
}

export function withAttention<S extends AttentionTraits>(view: View<S>): AttentionView<S> {
  const attention = attentionOf(view.store, view.signal);
  const pointed = local<number | null>(null);
  view.drawn.set(() => {
    const shown = attention.shown();
    if (!shown) return "";
    const { picture, layerIndex, head } = shown;
    const image = picture.packet.imageIndex ?? view.store.get("image_index");
    return [image, layerIndex, head, picture.query].join(":");
  });
  function paintRow(draw: () => void): void {
    attention.on(() => view.paint(draw));
    view.paint(draw);
  }
  return { ...view, attention, pointed, paintRow };
}

/** The query that the picture belongs to; null for plain maps, which belong to none. */
export function queryOf(picture: Picture | null | undefined): number | null {
  return picture?.packet.queries ? picture.query : null;
}

/** How tokens of the layer on screen are named and placed; null where nothing is known. */
export function tokensOf(attention: Attention): ImageLayer | null {
  const layer = attention.shown()?.layer;
  return layer?.kind === "image" ? layer : null;
}
