import { expect, test } from "vitest";
import {
  COLORMAPS,
  colormap,
  colormapFor,
  colourAt,
  parseHex,
  pixelTable,
  SIGNED,
} from "../src/lib/colormap";

test("every map has 256 colours and ends where its name says", () => {
  for (const name of COLORMAPS) expect(colormap(name)).toHaveLength(256);
  expect(colourAt("magma", 0)).toBe("#000004");
  expect(colourAt("magma", 1)).toBe("#fcfdbf");
  expect(colourAt("viridis", 0)).toBe("#440154");
  expect(colourAt("gray", 1)).toBe("#ffffff");
  expect(colormap("no such map")).toBe(colormap("magma"));
});

test("lightness only grows, so that a map reads in grey", () => {
  for (const name of COLORMAPS) {
    const light = colormap(name).map((hex) => {
      const [r, g, b] = parseHex(hex);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    });
    light.slice(1).forEach((value, i) => {
      expect(value).toBeGreaterThan(light[i] - 1.5);
    });
  }
});

test("signed values have one map: as light on both sides, dark at zero, transparent on a photo", () => {
  expect(colormapFor({ signed: true }, "viridis")).toBe(SIGNED);
  expect(colormapFor({ signed: false }, "viridis")).toBe("viridis");
  expect(COLORMAPS).not.toContain(SIGNED); // it is not chosen
  const light = colormap(SIGNED).map((hex) => {
    const [r, g, b] = parseHex(hex).map((one) => (one / 255) ** 2.2);
    return (0.2126 * r + 0.7152 * g + 0.0722 * b) ** (1 / 3);
  });
  expect(light).toHaveLength(256);
  for (let i = 129; i < 256; i++) {
    expect(light[i]).toBeGreaterThan(light[i - 1] - 0.004);
    expect(Math.abs(light[i] - light[255 - i])).toBeLessThan(0.05);
  }
  const opacity = pixelTable(SIGNED, (size) => size);
  expect([0, 127, 254].map((level) => opacity[level] >>> 24)).toEqual([255, 0, 255]);
});

test("pixels are in the order of ImageData, and no value is transparent", () => {
  const table = pixelTable("magma");
  const rgba = (level: number) => [...new Uint8Array(new Uint32Array([table[level]]).buffer)];
  expect(rgba(0)).toEqual([0, 0, 4, 255]);
  expect(rgba(254)).toEqual([0xfc, 0xfd, 0xbf, 255]);
  expect(rgba(255)).toEqual([0, 0, 0, 0]);
  const seeThrough = pixelTable("magma", (part) => part / 2);
  expect(seeThrough[0] >>> 24).toBe(0);
  expect(seeThrough[254] >>> 24).toBe(128);
});
