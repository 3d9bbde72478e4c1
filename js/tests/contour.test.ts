import { expect, test } from "vitest";
import { outline, smallestSet } from "../src/lib/contour";

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
}

test("the set holds its share, and no smaller one does", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const next = random(seed);
    const values = Array.from({ length: 63 }, () => next() ** 4);
    const share = 0.05 + 0.9 * next();
    const total = values.reduce((a, b) => a + b, 0);
    const mask = smallestSet(values, share);
    const inside = values.filter((_, i) => mask[i]).sort((a, b) => b - a);
    const held = inside.reduce((a, b) => a + b, 0);
    expect(held).toBeGreaterThanOrEqual(share * total * (1 - 1e-6));
    expect(held - (inside.at(-1) ?? 0)).toBeLessThan(share * total);
    // the largest ones: whatever is outside is no larger than what is inside
    const outside = Math.max(0, ...values.filter((_, i) => !mask[i]));
    expect(outside).toBeLessThanOrEqual(inside.at(-1) ?? 0);
  }
});

test("cells without a value and empty maps hold nothing", () => {
  expect([...smallestSet([Number.NaN, 0.5, 0.5], 1)]).toEqual([0, 1, 1]);
  expect([...smallestSet([0, 0], 0.9)]).toEqual([0, 0]);
  expect([...smallestSet([1, 2], 0)]).toEqual([0, 0]);
});

test("the outline of a block is its four sides, merged; a hole has sides of its own", () => {
  const block = [0, 0, 0, 0, /**/ 0, 1, 1, 0, /**/ 0, 1, 1, 0];
  const sides = outline(block, 3, 4);
  expect(sides).toHaveLength(4);
  expect(sides).toContainEqual([1, 1, 3, 1]);
  expect(sides).toContainEqual([1, 3, 3, 3]); // along the edge of the picture
  expect(sides).toContainEqual([1, 1, 1, 3]);
  const ring = [1, 1, 1, 1, 0, 1, 1, 1, 1];
  expect(outline(ring, 3, 3)).toHaveLength(8);
});
