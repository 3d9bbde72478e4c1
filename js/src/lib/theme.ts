// Light or dark, told from what is really behind the widget: hosts name their themes differently.

export type Theme = "light" | "dark";

interface Colour {
  luminance: number;
  alpha: number;
}

/** Relative luminance (0..1) and opacity of a computed CSS colour; null when it cannot be read. */
export function parseColour(css: string): Colour | null {
  const match = css.match(/^(rgba?\(|color\(srgb )(.*)\)$/);
  const numbers = match?.[2].match(/[\d.]+/g)?.map(Number) ?? [];
  if (numbers.length < 3) return null;
  const unit = css.startsWith("color") ? 1 : 255;
  const [red, green, blue] = numbers.map((channel) => {
    const part = channel / unit;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return { luminance: 0.2126 * red + 0.7152 * green + 0.0722 * blue, alpha: numbers[3] ?? 1 };
}

export function themeOf(background: string | null, prefersDark: boolean): Theme {
  const colour = background === null ? null : parseColour(background);
  if (colour === null) return prefersDark ? "dark" : "light";
  return colour.luminance < 0.18 ? "dark" : "light";
}

/** The first background behind an element that can be seen; null when there is none. */
export function backgroundBehind(element: Element): string | null {
  let node: Element | null = parentOf(element);
  while (node) {
    const background = getComputedStyle(node).backgroundColor;
    const colour = parseColour(background);
    if (colour && colour.alpha > 0.5) return background;
    node = parentOf(node);
  }
  return null;
}

function parentOf(element: Element): Element | null {
  if (element.parentElement) return element.parentElement;
  const root = element.getRootNode();
  return root instanceof ShadowRoot ? root.host : null;
}

/** Calls back whenever the host may have changed its theme. */
export function onThemeChange(changed: () => void, signal: AbortSignal): void {
  let frame = 0;
  const later = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      changed();
    });
  };
  const observer = new MutationObserver(later);
  for (const node of [document.documentElement, document.body]) {
    observer.observe(node, { attributes: true });
  }
  // a style sheet that loads after the attribute changed
  document.addEventListener("load", later, { capture: true, signal });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", later, { signal });
  signal.addEventListener("abort", () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
  });
}
