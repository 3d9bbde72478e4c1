// The colour maps that Python exports with: 256 entries each, perceptual, safe for colour-blind eyes.
import tables from "../../../vit_widgets/widgets/colormaps.json";
import { LAST_CODE, NO_VALUE, ZERO_CODE } from "./wire";

export type ColormapName = keyof typeof tables;

/** The one map for values of both signs: the same lightness to both sides of its middle, zero. */
export const SIGNED: ColormapName = "signed";

/** Those that can be chosen, for values from zero up. */
export const COLORMAPS = (Object.keys(tables) as ColormapName[]).filter((name) => name !== SIGNED);

/** The map to draw values with: the one that was chosen, unless they are signed. */
export function colormapFor(values: { signed: boolean }, chosen: string): string {
  return values.signed ? SIGNED : chosen;
}

export type Rgb = readonly [red: number, green: number, blue: number];

export function colormap(name: string): readonly string[] {
  return tables[name as ColormapName] ?? tables.magma;
}

export function parseHex(hex: string): Rgb {
  const n = Number.parseInt(hex.slice(1), 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

/** The colour of a value from 0 to 1 of the range shown. */
export function colourAt(name: string, part: number): string {
  const table = colormap(name);
  return table[Math.round(Math.min(1, Math.max(0, part)) * (table.length - 1))];
}

const parsed = new Map<readonly string[], Rgb[]>();

/** The table as numbers, parsed once. */
function rgbOf(name: string): readonly Rgb[] {
  const hex = colormap(name);
  const known = parsed.get(hex) ?? hex.map(parseHex);
  parsed.set(hex, known);
  return known;
}

/**
 * One pixel for each level 0..254 (255 is "no value": transparent), as ImageData holds it in memory
 * on little-endian machines. `alpha` gives the opacity 0..1 of a value or magnitude 0..1.
 */
export function pixelTable(name: string, alpha: (size: number) => number = () => 1): Uint32Array {
  const table = rgbOf(name);
  const pixels = new Uint32Array(256);
  for (let level = 0; level <= LAST_CODE; level++) {
    const part = level / LAST_CODE;
    const [red, green, blue] = table[Math.round(part * (table.length - 1))];
    const size = name === SIGNED ? Math.abs(level - ZERO_CODE) / ZERO_CODE : part;
    const opacity = Math.round(255 * Math.min(1, Math.max(0, alpha(size))));
    pixels[level] = ((opacity << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }
  pixels[NO_VALUE] = 0;
  return pixels;
}

/** A CSS gradient of the whole map, for colour bars. */
export function gradient(name: string, steps = 16): string {
  const stops = Array.from({ length: steps + 1 }, (_, i) => colourAt(name, i / steps));
  return `linear-gradient(to right, ${stops.join(", ")})`;
}
