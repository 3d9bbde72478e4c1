import { expect, test } from "vitest";
import {
  blocksOf,
  cutAs,
  type DepthNorms,
  heights,
  histogram,
  leaveOut,
  normScale,
  plotsOf,
  rangeHeat,
  standing,
  weightHeat,
} from "../src/lib/depth";
import { floats } from "./make";

const NORMS: DepthNorms = {
  image_index: 0,
  // a class token and 2 x 2 patches, then three tokens without places
  values: floats([50, 1, 2, 3, 40, 5, Number.NaN, 7], [8]),
  shapes: [
    [1, 2, 2],
    [0, 0, 3],
  ],
  prefix: [["class"], []],
  thresholds: [30, null],
  blocks: ["a", "b"],
  layers: [0, 1],
  embedded: 1,
  norms: [],
  note: "",
};

test("norms are read block by block, and the class token is no patch", () => {
  const [first, second] = blocksOf(NORMS, null);
  expect([...first.patches]).toEqual([1, 2, 3, 40]);
  expect([...first.prefix]).toEqual([50]);
  expect([first.median, first.maximum]).toEqual([2.5, 40]);
  expect([...standing(first)]).toEqual([0, 0, 0, 1]);
  expect([second.rows, second.cols, second.median]).toEqual([0, 3, 6]);
  expect([...standing(second)]).toEqual([0, 0, 0]);
  const [moved, other] = blocksOf(NORMS, 2.5);
  expect([...standing(moved)]).toEqual([0, 0, 1, 1]);
  expect([...standing(other)]).toEqual([1, 0, 1]); // NaN never stands out
});

test("a place on the scale is a norm, and back", () => {
  const [first] = blocksOf(NORMS, null);
  const scale = normScale(first, 30);
  expect(scale).not.toBeNull();
  for (const norm of [1, 2.5, 40]) expect(scale?.norm(scale.place(norm))).toBeCloseTo(norm);
  const counts = histogram(first.patches, scale as NonNullable<typeof scale>, 10);
  expect(counts.reduce((a, b) => a + b)).toBe(4);
  expect(counts[0] + counts[1] + counts[2]).toBe(3 - counts[3]);
  expect(normScale({ ...first, patches: Float32Array.of(0, Number.NaN) }, 1)).toBeNull();
});

test("what is left out is shared among the rest, the prefix included", () => {
  const shared = leaveOut([0.5, 0.1, Number.NaN, 0.2], [1, 0, 0, 0], 0.2);
  expect(shared[0]).toBeNaN();
  expect(shared[2]).toBeNaN();
  expect(shared[1]).toBeCloseTo(0.2);
  expect(shared[3]).toBeCloseTo(0.4); // and 0.4 for the prefix
  expect([...leaveOut([1], [1], 0)]).toEqual([Number.NaN]);
});

test("maps span what they hold", () => {
  expect([...rangeHeat([2, 4, Number.NaN, 3], 2, 2).levels]).toEqual([0, 254, 255, 127]);
  expect([...rangeHeat([2, 2], 1, 2).levels]).toEqual([0, 0]);
  expect([...rangeHeat([Number.NaN], 1, 1).levels]).toEqual([255]);
  expect([...weightHeat([0, 0.25, 1, Number.NaN], 2, 2).levels]).toEqual([0, 127, 254, 255]);
});

test("curves are drawn where there are numbers", () => {
  const curves = { within: [1, 10], "after within": [null, null], class: [null, 0.5] };
  const about = { image_index: 0, curves, class_is: "class", note: "" };
  const plots = plotsOf(blocksOf(NORMS, null), about);
  expect(plots.map(({ title }) => title)).toEqual([
    "norm of patches",
    "patches that stand out",
    "variance within a token",
    "cosine of patches to the class token",
  ]);
  expect(plots[1].lines[0].values).toEqual([1, 0]);
  expect(plots[2].lines.map(({ name }) => name)).toEqual(["block output"]);
  expect(heights(plots[2])).toEqual([[0, 1]]);
  const [, , threshold] = heights(plots[0]);
  expect(threshold[1]).toBeNull(); // no threshold: infinity has no place
  expect(plotsOf([], null)).toEqual([]);
  const zero = { title: "", logarithmic: true, lines: [{ name: "", values: [1, 0, 10] }] };
  expect(heights(zero)).toEqual([[0, null, 1]]); // 0 has no logarithm
});

test("an object is that of its threshold only where patches are left out", () => {
  expect(cutAs({ without: false, threshold: null }, false, 4)).toBe(true);
  expect(cutAs({ without: false, threshold: null }, true, null)).toBe(false);
  expect(cutAs({ without: true, threshold: 4 }, true, 4)).toBe(true);
  expect(cutAs({ without: true, threshold: 4 }, true, 4.5)).toBe(false);
  expect(cutAs({ without: true, threshold: null }, true, 4)).toBe(false);
});
