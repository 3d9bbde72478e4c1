import { expect, test } from "vitest";
import { headHeat, meanHeat } from "../src/lib/heat";
import { orderHeads } from "../src/lib/order";
import { type ImageLayer, readPacket } from "../src/lib/packet";
import { upsample } from "../src/lib/upsample";
import { imageLayer, packet } from "./make";

const values = [
  [
    [0.4, 0.1, 0, Number.NaN],
    [0.1, 0.1, 0.1, 0.1],
    [0.9, 0, 0, 0],
  ],
];
const layer = readPacket(packet([imageLayer(values, [2, 2])]))?.layers[0] as ImageLayer;

test("a head alone is on its own scale: its largest value is the highest level", () => {
  const heat = headHeat(layer, 0, 0);
  expect([...heat.levels]).toEqual([254, 127, 0, 255]);
  expect(heat.maximum).toBeCloseTo(0.4, 6);
});

test("on a shared scale equal levels are equal values", () => {
  const shared = 0.9;
  expect(headHeat(layer, 0, 1, shared).levels[0]).toBe(Math.round(Math.sqrt(0.1 / 0.9) * 254));
  expect(headHeat(layer, 0, 0, shared).levels[1]).toBeCloseTo(
    headHeat(layer, 0, 1, shared).levels[0],
    -0.5,
  );
  expect(headHeat(layer, 0, 0, shared).levels[3]).toBe(255);
});

test("several heads are the mean of their values, not of their colours", () => {
  const heat = meanHeat(layer, 0, [1, 2]);
  expect(heat.maximum).toBeCloseTo(0.5, 6);
  expect(heat.levels[1]).toBe(Math.round(Math.sqrt(0.05 / 0.5) * 254));
  expect(meanHeat(layer, 0, [0, 1]).levels[3]).toBe(255); // what one head cannot see stays unknown
});

test("heads are ordered by what is most particular, ties by index", () => {
  expect(orderHeads(layer, 0, "head")).toEqual([0, 1, 2]);
  expect(orderHeads(layer, 0, "entropy")).toEqual([2, 0, 1]);
  expect(orderHeads(layer, 0, "distance")).toEqual([1, 0, 2]);
  expect(orderHeads(layer, 0, "maximum")).toEqual([2, 0, 1]);
});

test("smoothing keeps the value at the centre of each patch, also in grids that are not square", () => {
  const levels = new Uint8Array([10, 250, 30, 70, 110, 0]);
  const [rows, cols, scale] = [2, 3, 9];
  const smooth = upsample(levels, rows, cols, cols * scale, rows * scale);
  levels.forEach((level, i) => {
    const x = (i % cols) * scale + 4;
    const y = Math.floor(i / cols) * scale + 4;
    expect(smooth[y * cols * scale + x]).toBe(level);
  });
});
