import { expect, test } from "vitest";
import {
  type ClusterCurves,
  clusterPixels,
  curvePath,
  curvesOf,
  DETAIL,
  layerAt,
  objectWords,
  rangeOf,
  together,
} from "../src/lib/clusters";

const answer = (over: Partial<ClusterCurves>): ClusterCurves => ({
  image_index: 0,
  clustered: "objects",
  reach: 1,
  settings: [2, 0.2, 0],
  versions: ["original", "shuffled"],
  values: {},
  objects: [],
  rest: false,
  guessed: false,
  done: 0,
  total: 0,
  forwards: 0,
  notes: {},
  note: "",
  ...over,
});

test("each patch has the colour of its cluster, noise is hatched, what takes no part is clear", () => {
  const pixels = clusterPixels([0, 1, -1, -2], 2, 2);
  const width = 2 * DETAIL;
  const at = (x: number, y: number) => [...pixels.subarray((y * width + x) * 4).subarray(0, 4)];
  expect(at(0, 0)).toEqual([0, 114, 178, 255]);
  expect(at(DETAIL - 1, DETAIL - 1)).toEqual([0, 114, 178, 255]);
  expect(at(DETAIL, 0)).toEqual([230, 159, 0, 255]);
  expect(at(DETAIL, DETAIL)).toEqual([0, 0, 0, 0]);
  const noise = new Set(Array.from({ length: DETAIL }, (_, x) => at(x, DETAIL).join()));
  expect(noise.size).toBe(2); // dark and light: two colours tell it from every cluster
});

test("a curve is broken where a layer has no number, and never bridged", () => {
  expect(curvePath([0, 1, Number.NaN, 0.5], { low: 0, high: 1 })).toBe(
    "M0.0000 1.0000L0.3333 0.0000M1.0000 0.5000",
  );
  expect(curvePath([Number.NaN], { low: 0, high: 1 })).toBe("");
});

test("the scale is the same for all metrics unless something is negative", () => {
  expect(rangeOf([0.2, Number.NaN, 0.9])).toEqual({ low: 0, high: 1 });
  expect(rangeOf([0.2, -1])).toEqual({ low: -1, high: 1 });
});

test("a click means the layer that is nearest", () => {
  expect([-0.2, 0, 0.29, 0.31, 1, 7].map((share) => layerAt(share, 6))).toEqual([0, 0, 1, 2, 5, 5]);
  expect(layerAt(0.5, 1)).toBe(0);
});

test("curves are read by version, metric and layer", () => {
  const codes = Float32Array.from({ length: 2 * 6 * 3 }, (_, i) => i);
  const values = {
    dtype: "f4" as const,
    shape: [2, 6, 3],
    scale: 1,
    offset: 0,
    curve: "linear" as const,
    view: codes.buffer as ArrayBuffer,
  };
  const of = curvesOf(answer({ values }));
  expect(of(0, 0)).toEqual([0, 1, 2]);
  expect(of(1, 4)).toEqual([30, 31, 32]);
  expect(curvesOf(answer({}))(0, 0)).toEqual([]);
});

test("objects are named, and the rest is called so", () => {
  const objects: [number, number][] = [
    [1, 29],
    [2, 115],
  ];
  expect(objectWords(answer({ objects, rest: true }))).toBe("object 1: 29 patches · the rest: 115");
  expect(objectWords(answer({ objects }))).toBe("object 1: 29 patches · object 2: 115");
});

test("purity is told beside that of one cluster of all", () => {
  const objects: [number, number][] = [
    [1, 30],
    [2, 90],
  ];
  expect(together(answer({ objects }))).toBe(0.75);
  expect(together(answer({}))).toBeNull();
});
