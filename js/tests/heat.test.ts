import { expect, test } from "vitest";
import { headHeat, meanHeat } from "../src/lib/heat";
import { orderHeads } from "../src/lib/order";
import { type ImageLayer, readPacket } from "../src/lib/packet";
import { upsample } from "../src/lib/upsample";
import { floats, imageLayer, packet } from "./make";

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

test("signed maps are the same to both sides of zero, alone and on a shared scale", () => {
  const codes = new Uint8Array([254, 0, 127, 255]);
  const raw = imageLayer([[[0.4, 0.4, 0, Number.NaN]]], [2, 2]);
  raw.cells = { ...raw.cells, curve: "signed sqrt", view: codes };
  raw.signed = true;
  const signed = readPacket(packet([raw]))?.layers[0] as ImageLayer;
  expect([...headHeat(signed, 0, 0).levels]).toEqual([254, 0, 127, 255]);
  const values = [0, 1, 2].map((cell) => signed.cells.value(0, cell));
  expect(values[0]).toBeCloseTo(0.4, 6);
  expect(values.slice(1)).toEqual([-values[0], 0]);
  const shared = headHeat(signed, 0, 0, 1.6).levels; // a quarter of it: half its root
  expect([...shared]).toEqual([191, 64, 127, 255]);
  const exact = imageLayer([[[-0.1, 0.4, 0, Number.NaN]]], [2, 2]);
  exact.cells = { ...floats([-0.1, 0.4, 0, Number.NaN], [1, 1, 4]) };
  exact.signed = true;
  const numbers = readPacket(packet([exact]))?.layers[0] as ImageLayer;
  expect([...headHeat(numbers, 0, 0).levels]).toEqual([64, 254, 127, 255]);
});

test("heads are ordered by what is most particular, ties by index", () => {
  expect(orderHeads(layer, 0, "head")).toEqual([0, 1, 2]);
  expect(orderHeads(layer, 0, "entropy")).toEqual([2, 0, 1]);
  expect(orderHeads(layer, 0, "distance")).toEqual([1, 0, 2]);
  expect(orderHeads(layer, 0, "maximum")).toEqual([2, 0, 1]);
});

test("smoothing leaves cells without a value empty, and takes nothing from them", () => {
  const levels = new Uint8Array([255, 255, 255, 100, 100, 100, 255, 100, 200]);
  const smooth = upsample(levels, 3, 3, 27, 27);
  const at = (row: number, col: number) => smooth[row * 27 + col];
  expect([at(8, 13), at(26, 8)]).toEqual([255, 255]); // the very border
  expect([at(9, 4), at(9, 13), at(17, 0)]).toEqual([100, 100, 100]); // no shade towards it
  expect(at(22, 22)).toBe(200);
  expect(at(22, 17)).toBeGreaterThan(100); // between two that are seen
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
