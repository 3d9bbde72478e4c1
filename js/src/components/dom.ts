// Small helpers around the DOM: nothing here knows of attention or widgets.

type Attributes = Record<string, string | number | boolean | null | undefined>;

/** An element with a class, attributes and children. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  if (className) node.className = className;
  attribute(node, attributes);
  node.append(...children);
  return node;
}

/** A part of a page, under its title. */
export function section(title: Node | string, ...parts: HTMLElement[]): HTMLElement {
  const bar = el("div", "vw-bar", {}, el("span", "vw-title", {}, title));
  return el("section", "vw-section", {}, bar, ...parts);
}

/** Sets attributes; true stands for an empty one, false and null take it away. */
export function attribute(node: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    const text = value === true ? "" : value;
    if (text === false || text === null || text === undefined) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(text)) node.setAttribute(name, String(text));
  }
}

/** Replaces the text only when it differs, so that screen readers and layout stay calm. */
export function setText(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** Says something below what it is about, and takes no room while there is nothing to say. */
export function setNote(node: HTMLElement, text: string): void {
  setText(node, text);
  node.hidden = text === "";
}

export function listen<K extends keyof HTMLElementEventMap>(
  node: HTMLElement,
  type: K,
  handler: (event: HTMLElementEventMap[K]) => void,
  signal: AbortSignal,
): void {
  node.addEventListener(type, handler, { signal });
}

export interface Size {
  width: number;
  height: number;
}

/**
 * Calls back whenever the size on screen or its resolution may have changed. What is returned holds
 * the size, so that drawing never makes the browser lay out the page in between.
 */
export function onResize(node: Element, changed: () => void, signal: AbortSignal): Size {
  const size = { width: 0, height: 0 };
  const observer = new ResizeObserver((entries) => {
    const box = entries.at(-1)?.contentRect;
    size.width = box?.width ?? 0;
    size.height = box?.height ?? 0;
    changed();
  });
  observer.observe(node);
  const resolution = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
  resolution.addEventListener("change", changed, { signal });
  signal.addEventListener("abort", () => observer.disconnect());
  return size;
}

/** Gives a canvas one pixel per device pixel; false while it is not on screen. */
export function sizeCanvas(canvas: HTMLCanvasElement, width: number, height: number): boolean {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (w < 1 || h < 1) return false;
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  return true;
}

export function context2d(
  canvas: HTMLCanvasElement | OffscreenCanvas,
): CanvasRenderingContext2D & OffscreenCanvasRenderingContext2D {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser cannot draw on a canvas");
  return context as CanvasRenderingContext2D & OffscreenCanvasRenderingContext2D;
}

/** The focused element, also inside a shadow root. */
export function focused(node: Node): Element | null {
  const root = node.getRootNode();
  return root instanceof Document || root instanceof ShadowRoot ? root.activeElement : null;
}

export function hasFocus(node: Element): boolean {
  return node.contains(focused(node));
}
