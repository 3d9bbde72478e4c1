import { expect, test } from "vitest";
import {
  chosenPairs,
  colourOf,
  curveLines,
  type Grid,
  gridOf,
  type HeadCurve,
  hopsOf,
  linePath,
  patternGrid,
  patternPoints,
  pointsOf,
  rangeOf,
  removedHeads,
  together,
  togglePair,
  within,
  withoutAThird,
} from "../src/lib/dashboard";
import { floats } from "./make";

const NAN = Number.NaN;
const PATTERNS = {
  image_index: 0,
  k: 2,
  of: [
    [0, 1],
    [1, 0],
  ],
  places: floats([0, 0, 4, 1], [2, 2]),
  labels: [1, 0],
  maps: {},
  lost: null,
  note: "",
};
const CURVE: HeadCurve = {
  image_index: 0,
  over: "this image",
  explained: null,
  by: "logit",
  // 2 orders, 5 metrics, 2 steps
  values: floats(
    Array.from({ length: 20 }, (_, i) => (i % 10 < 8 ? i : NAN)),
    [2, 5, 2],
  ),
  counts: [0, 3],
  order: [
    [1, 0],
    [0, 0],
    [0, 1],
  ],
  done: 4,
  total: 4,
  images: 1,
  note: "",
};
const grid = (values: number[], heads: number): Grid => ({
  layers: values.length / heads,
  heads,
  at: (layer, head) => values[layer * heads + head],
});

test("one number of every head is read from the right place", () => {
  const numbers = gridOf(floats([0, 1, 2, 3, 10, 11, 12, 13], [2, 2, 2]), 1);
  expect([numbers?.layers, numbers?.heads, numbers?.at(1, 0)]).toEqual([2, 2, 12]);
  expect(gridOf({}, 0)).toBe(null);
  const clusters = patternGrid(PATTERNS, grid([0, 0, 0, 0], 2));
  expect([clusters.at(0, 1), clusters.at(1, 0), clusters.at(0, 0)]).toEqual([1, 0, NAN]);
});

test("colours of values of both signs have zero in their middle, and NaN has none", () => {
  const effects = grid([0.5, -2, NAN, 1], 2);
  expect(rangeOf(effects, "logit")).toEqual({ low: -2, high: 2 });
  expect(rangeOf(effects, "entropy")).toEqual({ low: -2, high: 1 });
  expect(rangeOf(grid([NAN, NAN], 2), "entropy")).toBe(null);
  const range = rangeOf(effects, "logit");
  expect(colourOf(NAN, "logit", range, "magma")).toBe(null);
  const zero = colourOf(0, "logit", range, "magma");
  expect(zero).toEqual(colourOf(0, "logit", { low: -9, high: 9 }, "magma"));
  expect(colourOf(1, "pattern", range, "magma")).toEqual([230, 159, 0]);
});

test("heads that are not known on both axes are no points", () => {
  const points = pointsOf(grid([0, 1, NAN, 5], 2), grid([3, NAN, 7, 1], 2));
  expect(points.heads).toEqual([
    [0, 0],
    [1, 1],
  ]);
  expect([...points.x]).toEqual([-1, 1]);
  expect([...points.y]).toEqual([1, -1]);
  expect(points.xs).toEqual({ low: 0, high: 5 });
});

test("places of patterns keep their proportions", () => {
  const points = patternPoints(PATTERNS);
  expect([...(points?.x ?? [])]).toEqual([-1, 1]);
  expect([...(points?.y ?? [])]).toEqual([-0.25, 0.25]);
});

test("a rectangle, a toggle and an addition select heads once, in order", () => {
  const four = grid([1, 2, NAN, 4], 2);
  const brushed = within(four, [1, 1], [0, 0]);
  expect(brushed).toEqual([
    [0, 0],
    [0, 1],
    [1, 1],
  ]);
  expect(chosenPairs([[1, 1]], [[0, 1]], true)).toEqual([
    [0, 1],
    [1, 1],
  ]);
  expect(chosenPairs([[1, 1]], [[0, 1]], false)).toEqual([[0, 1]]);
  expect(togglePair([[1, 1]], [1, 1])).toEqual([]);
});

test("heads of the layer in view become those that are chosen together", () => {
  const selected = [
    [0, 3],
    [0, 1],
    [2, 4],
  ];
  expect(together(selected, 0, 3)).toEqual({ head: 3, heads: [1, 3] });
  expect(together(selected, 0, 5)).toEqual({ head: 3, heads: [1, 3] });
  expect(together(selected, 2, 0)).toEqual({ head: 4, heads: [] });
  expect(together(selected, 1, 5)).toEqual({ head: 5, heads: [] });
});

test("the curve says which heads are gone, and what is left", () => {
  expect(removedHeads(CURVE, "most", 1)).toEqual([[1, 0]]);
  expect(removedHeads(CURVE, "least", 2)).toEqual([
    [0, 1],
    [0, 0],
  ]);
  expect(curveLines(CURVE, "logit")).toEqual([
    [2, 3],
    [12, 13],
  ]);
  expect(curveLines(CURVE, "accuracy")).toBe(null); // not known
});

test("the answer is the step below a third, by accuracy where it is known", () => {
  const values = Array.from({ length: 30 }, (_, i) => 1 - i / 100);
  const curve = { ...CURVE, counts: [0, 2, 6], values: floats(values, [2, 5, 3]), images: 4 };
  expect(withoutAThird(curve)).toBe(
    "Without the 2 least important of 6 heads: accuracy 0.72, with all of them 0.73; " +
      "without the 2 most important 0.87, over 4 images.",
  );
  const unknown = values.map((value, i) => (i % 15 >= 12 ? NAN : value));
  const without = withoutAThird({ ...curve, values: floats(unknown, [2, 5, 3]) });
  expect(without).toContain("probability 0.84, with all of them 0.85");
  expect(withoutAThird(CURVE)).toBe(""); // no step between none and all
});

test("a line is broken where a value is missing", () => {
  const path = linePath([0, NAN, 1, 0.5], { low: 0, high: 1 });
  expect(path).toBe("M0.0000 1.0000M0.6667 0.0000L1.0000 0.5000");
});

test("hops are those of the head", () => {
  const hops = floats([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2]);
  const about = { image_index: 0, over: "this image" as const, values: {}, hops };
  const statistics = { ...about, done: 1, total: 1, reasons: {} };
  expect(hopsOf(statistics, [1, 0])).toEqual([5, 6]);
  expect(hopsOf(statistics, [2, 0])).toEqual([]);
});
