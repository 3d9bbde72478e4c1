import { expect, test } from "vitest";
import { extend, range, toggle, togglePin } from "../src/lib/selection";

test("toggling adds and takes away, and the chosen heads always contain the current one", () => {
  const two = toggle({ head: 3, heads: [] }, 1);
  expect(two).toEqual({ head: 1, heads: [1, 3] });
  expect(toggle(two, 1)).toEqual({ head: 3, heads: [] }); // one alone is no list
  expect(toggle({ head: 3, heads: [] }, 3)).toEqual({ head: 3, heads: [] }); // one always stays
});

test("a range follows the order on screen, from either side", () => {
  const order = [4, 2, 0, 1, 3];
  expect(range({ head: 0, heads: [] }, 4, order)).toEqual({ head: 0, heads: [0, 2, 4] });
  expect(range({ head: 4, heads: [] }, 0, order)).toEqual({ head: 4, heads: [0, 2, 4] });
  expect(extend({ head: 0, heads: [] }, 2)).toEqual({ head: 2, heads: [0, 2] });
});

test("pins toggle, and there are at most eight", () => {
  expect(togglePin([], 5)).toEqual([5]);
  expect(togglePin([5, 7], 5)).toEqual([7]);
  const eight = [0, 1, 2, 3, 4, 5, 6, 7];
  expect(togglePin(eight, 9)).toEqual(eight);
});
