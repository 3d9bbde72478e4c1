import { expect, test } from "vitest";
import {
  type ComparedRow,
  cellsUnder,
  columnOf,
  comparedHeat,
  meanWords,
  numberAt,
  type ReadMap,
  readMap,
  rowAt,
  scaleOf,
} from "../src/lib/comparison";
import type { Axis, Place } from "../src/lib/geometry";
import { axis, floats, rawAxis } from "./make";

const LEFT: [number, number, number, number] = [0, 0, 1, 0.5];

function row(rows: number, cols: number): ComparedRow {
  const own = rawAxis([rows, cols], ["class"], LEFT);
  return { image_index: 0, model: 0, picture: {}, axis: own, note: "", maps: [] };
}

function map(rows: number, cols: number, values: number[]): ReadMap {
  const about = { axis: rawAxis([rows, cols], [], LEFT), target: "", area: null, note: "" };
  const found = readMap({ values: floats(values, [rows, cols]), ...about }, row(2, 2));
  if (!found) throw new Error("there is no map");
  return found;
}

// breaks when a number is read of another patch, or squares of pixels are read as patches
test("a number is that of a patch, the mean of its squares where the map is finer", () => {
  const own = map(2, 2, [1, 2, 3, 4]);
  expect([own.finer, numberAt(own, { row: 1, col: 0 })]).toEqual([false, 3]);
  const fine = map(2, 4, [1, 3, 5, 5, 0, Number.NaN, Number.NaN, Number.NaN]);
  expect(fine.finer).toBe(true);
  expect(fine.patches.cols).toBe(2);
  expect(numberAt(fine, { row: 0, col: 0 })).toBe(2);
  expect(numberAt(fine, { row: 1, col: 0 })).toBe(0); // of what is known
  expect(numberAt(fine, { row: 1, col: 1 })).toBeNaN();
  const coarse = map(1, 1, [7]);
  expect([coarse.finer, numberAt(coarse, { row: 0, col: 0 })]).toEqual([false, 7]);
});

// breaks when the outline of a patch is of other squares, or of none where a map is coarser
test("the cells under a patch are those whose centres it holds, or the one that holds it", () => {
  const under = (place: Place, to: Axis) =>
    Array.from(cellsUnder(place, axis([2, 2], [], LEFT), to));
  expect(under({ row: 0, col: 1 }, axis([2, 4], [], LEFT))).toEqual([0, 0, 1, 1, 0, 0, 0, 0]);
  expect(under({ row: 0, col: 0 }, axis([1, 1], [], LEFT))).toEqual([1]);
  expect(under({ row: 1, col: 1 }, axis([1, 2], [], [0, 0.5, 1, 1]))).toEqual([0, 0]);
});

// breaks when a weaker map of a method looks as strong as the strongest, or one sign has two colours
test("maps of a method share signs always, and the largest magnitude where they are alike", () => {
  const [strong, weak] = [map(1, 1, [-4]), map(1, 1, [1])];
  const scale = scaleOf([strong, null, weak]);
  expect(scale).toEqual({ signed: true, most: 4 });
  const alone = comparedHeat(weak, scale, "per map");
  const alike = comparedHeat(weak, scale, "per method");
  expect([alone.signed, alone.maximum, alone.levels[0]]).toEqual([true, 1, 254]);
  expect([alike.signed, alike.maximum]).toEqual([true, 4]);
  expect(alike.levels[0]).toBe(127 + Math.round(0.5 * 127));
  const flat = comparedHeat(map(1, 1, [0]), scaleOf([map(1, 1, [0])]), "per method");
  expect([flat.signed, flat.levels[0]]).toEqual([false, 0]);
});

// breaks when what was not measured reads as 0, or an interval as a number
test("means are read with their intervals", () => {
  expect(meanWords([0.789, 0.748, 0.853, 3])).toBe("0.79 [0.75, 0.85]");
  expect(meanWords([-0.03, null, null, 1])).toBe("−0.03");
  expect(meanWords([null, null, null, 0])).toBe("–");
});

// breaks when a picture of another model, or the first method in place of one that is missing, shows
test("rows and columns are found by what they are of", () => {
  const rows = [0, 1].flatMap((image_index) =>
    [0, 1].map((model) => ({ ...row(2, 2), image_index, model })),
  );
  expect([rowAt(rows, 1, 1), rowAt(rows, 2, 0)]).toEqual([3, -1]);
  const methods = ["rollout", "mine"];
  expect(["", "mine", "relevance"].map((name) => columnOf(methods, name))).toEqual([0, 1, -1]);
});
