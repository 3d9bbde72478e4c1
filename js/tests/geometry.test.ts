import { expect, test } from "vitest";
import { boxOf, clampIndex, fit, placeAt, placeOf, tokenAt } from "../src/lib/geometry";

const grid = { rows: 8, cols: 14, prefix: 5 };

test("tokens and places are inverse, prefix tokens and strangers have no place", () => {
  for (let token = 5; token < 5 + 8 * 14; token++) {
    const place = placeOf(token, grid);
    expect(place && tokenAt(place, grid)).toBe(token);
  }
  expect(placeOf(5 + 14, grid)).toEqual({ row: 1, col: 0 }); // not transposed
  expect(placeOf(4, grid)).toBeNull();
  expect(placeOf(5 + 8 * 14, grid)).toBeNull();
});

test("patches of broken size tile the picture without gap or overlap", () => {
  const [width, height] = [333, 190];
  for (let row = 0; row < 8; row++)
    for (let col = 0; col < 14; col++) {
      const box = boxOf({ row, col }, grid, width, height);
      expect(box.width).toBeCloseTo(333 / 14, 12);
      expect(box.height).toBeCloseTo(190 / 8, 12);
      const inside = placeAt(box.x + 0.01, box.y + box.height - 0.01, grid, width, height);
      expect(inside).toEqual({ row, col });
    }
});

test("points outside belong to no patch", () => {
  expect(placeAt(-0.1, 5, grid, 140, 80)).toBeNull();
  expect(placeAt(140, 5, grid, 140, 80)).toBeNull();
  expect(placeAt(5, 80, grid, 140, 80)).toBeNull();
});

test("an index out of range becomes the nearest, and nothing breaks on none", () => {
  expect([-3, 0, 4, 5, 99, Number.NaN].map((i) => clampIndex(i, 5))).toEqual([0, 0, 4, 4, 4, 0]);
  expect(clampIndex(3, 0)).toBe(0);
});

test("a box keeps its proportions inside another", () => {
  expect(fit(2, 100, 100)).toEqual({ width: 100, height: 50 });
  expect(fit(0.5, 100, 100)).toEqual({ width: 50, height: 100 });
});
