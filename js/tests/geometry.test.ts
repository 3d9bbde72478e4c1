import { expect, test } from "vitest";
import {
  boxOf,
  clampIndex,
  fit,
  placeAt,
  placeIn,
  placeOf,
  placesBetween,
  sameAxis,
  tokenAt,
  tokenUnder,
} from "../src/lib/geometry";
import { axis } from "./make";

const grid = axis([8, 14], ["class", "a", "b", "c", "d"]);

test("tokens and places are inverse, prefix tokens and strangers have no place", () => {
  for (let token = 5; token < 5 + 8 * 14; token++) {
    const place = placeOf(token, grid);
    expect(place && tokenAt(place, grid)).toBe(token);
  }
  expect(placeOf(5 + 14, grid)).toEqual({ row: 1, col: 0 }); // not transposed
  expect(placeOf(4, grid)).toBeNull();
  expect(placeOf(5 + 8 * 14, grid)).toBeNull();
});

test("patches tile what the grid covers of the picture, without gap or overlap", () => {
  const part = axis([8, 14], [], [0.1, 0, 0.9, 1.2]);
  for (const [whole, width, height] of [
    [grid, 1 / 14, 1 / 8],
    [part, 1.2 / 14, 0.8 / 8],
  ] as const)
    for (let row = 0; row < 8; row++)
      for (let col = 0; col < 14; col++) {
        const box = boxOf({ row, col }, whole);
        expect(box.width).toBeCloseTo(width, 12);
        expect(box.height).toBeCloseTo(height, 12);
        const inside = placeAt(box.x + 0.001, box.y + box.height - 0.001, whole);
        expect(inside).toEqual({ row, col });
      }
});

test("a patch can be told in fractions of a part of the picture", () => {
  const middle = { top: 0.25, left: 0.5, bottom: 0.75, right: 1 };
  const box = boxOf({ row: 1, col: 1 }, axis([2, 2]), middle);
  expect(box).toEqual({ x: 0, y: 0.5, width: 1, height: 1 });
});

test("points outside belong to no patch", () => {
  expect(placeAt(-0.001, 0.1, grid)).toBeNull();
  expect(placeAt(1, 0.1, grid)).toBeNull();
  expect(placeAt(0.1, 1, grid)).toBeNull();
  expect(placeAt(0.05, 0.5, axis([2, 2], [], [0, 0.1, 1, 1]))).toBeNull();
});

// the same places as in tests/widgets/test_maps.py: what Python answers is marked where it is
test.each([
  ["nested", axis([56, 56], ["class"]), axis([7, 7]), { row: 13, col: 55 }, { row: 1, col: 6 }],
  ["nested", axis([56, 56], ["class"]), axis([7, 7]), { row: 8, col: 7 }, { row: 1, col: 0 }],
  ["not nested", axis([20, 20]), axis([14, 14]), { row: 3, col: 6 }, { row: 2, col: 4 }],
  ["not nested", axis([20, 20]), axis([14, 14]), { row: 19, col: 0 }, { row: 13, col: 0 }],
  ["a tie", axis([21, 3]), axis([14, 2]), { row: 1, col: 1 }, { row: 1, col: 1 }],
  ["a tie", axis([21, 3]), axis([14, 2]), { row: 4, col: 0 }, { row: 3, col: 0 }],
  [
    "a part",
    axis([4, 4]),
    axis([2, 2], [], [0.25, 0.25, 0.75, 0.75]),
    { row: 1, col: 2 },
    { row: 0, col: 1 },
  ],
  [
    "hanging over",
    axis([4, 4]),
    axis([3, 3], [], [0, 0, 1.5, 1.5]),
    { row: 3, col: 1 },
    { row: 1, col: 0 },
  ],
])("a layer answers for the patch that holds the centre (%s)", (_, reference, asked, from, to) => {
  expect(placeIn(tokenAt(from, reference), { reference, asked })).toEqual(to);
});

test("going to a coarser layer and back stays in its patch, on any pair of grids", () => {
  for (let fine = 1; fine <= 60; fine++)
    for (let coarse = 1; coarse <= fine; coarse++) {
      const own = { reference: axis([fine, 1], ["class"]), asked: axis([coarse, 1]) };
      for (let row = 0; row < coarse; row++) {
        const token = tokenUnder({ row, col: 0 }, own) as number;
        expect(placeIn(token, own)).toEqual({ row, col: 0 });
      }
    }
});

test("a prefix token, and what lies beside a layer, has no place on it", () => {
  const own = {
    reference: axis([4, 4], ["class"]),
    asked: axis([2, 2], [], [0.25, 0.25, 0.75, 0.75]),
  };
  expect([0, 1, 17].map((token) => placeIn(token, own))).toEqual([null, null, null]);
});

test("axes are the same when their tokens are", () => {
  expect(sameAxis(axis([2, 2], ["class"]), axis([2, 2], ["class"]))).toBe(true);
  expect(sameAxis(axis([2, 2], ["class"]), axis([2, 2], ["distillation"]))).toBe(false);
  expect(sameAxis(axis([2, 2]), axis([2, 2], [], [0, 0, 1, 0.9]))).toBe(false);
});

test("an index out of range becomes the nearest, and nothing breaks on none", () => {
  expect([-3, 0, 4, 5, 99, Number.NaN].map((i) => clampIndex(i, 5))).toEqual([0, 0, 4, 4, 4, 0]);
  expect(clampIndex(3, 0)).toBe(0);
});

test("a box keeps its proportions inside another", () => {
  expect(fit(2, 100, 100)).toEqual({ width: 100, height: 50 });
  expect(fit(0.5, 100, 100)).toEqual({ width: 50, height: 100 });
});

// breaks when a quick stroke leaves patches out, or paints beside its way
test("the patches between two are neighbours of each other, and no more than needed", () => {
  const at = (row: number, col: number) => ({ row, col });
  expect(placesBetween(at(2, 3), at(2, 3))).toEqual([at(2, 3)]);
  expect(placesBetween(at(1, 5), at(1, 2))).toEqual([at(1, 5), at(1, 4), at(1, 3), at(1, 2)]);
  for (const [from, to] of [
    [at(0, 0), at(7, 3)],
    [at(9, 2), at(4, 13)],
    [at(3, 3), at(0, 0)],
  ]) {
    const way = placesBetween(from, to);
    expect([way[0], way.at(-1)]).toEqual([from, to]);
    const far = (a: typeof from, b: typeof from) =>
      Math.max(Math.abs(a.row - b.row), Math.abs(a.col - b.col));
    expect(way.length).toBe(far(from, to) + 1);
    way.slice(1).forEach((place, i) => {
      expect(far(place, way[i])).toBe(1);
    });
    // never more than half a patch off the straight line
    for (const { row, col } of way) {
      const off = (row - from.row) * (to.col - from.col) - (col - from.col) * (to.row - from.row);
      expect(Math.abs(off)).toBeLessThanOrEqual(far(from, to) / 2);
    }
  }
});
