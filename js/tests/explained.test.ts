import { expect, test } from "vitest";
import { isOf, kindOf, numbersOf, withKind, withNumber } from "../src/lib/explained";

test("each kind is told from its value, a name is a function", () => {
  expect(kindOf(null)).toBe("predicted");
  expect(kindOf(0)).toBe("class");
  expect(kindOf(["margin", 1, null])).toBe("margin");
  expect(kindOf("difference")).toBe("function");
  expect(numbersOf(["margin", 1, null])).toEqual([1, null]);
  expect(numbersOf("difference")).toEqual([]);
  expect(numbersOf(0)).toEqual([0]);
});

test("another kind takes over the class, never the number of an image", () => {
  expect(withKind(4, "margin", 5)).toEqual(["margin", 4, 0]);
  expect(withKind(0, "margin", 5)).toEqual(["margin", 0, 1]); // two different classes
  expect(withKind(["margin", 4, 2], "class", 5)).toBe(4);
  expect(withKind(["margin", null, 2], "probability", 5)).toEqual(["probability", null]);
  expect(withKind(["embedding", 7], "class", 5)).toBe(0);
  expect(withKind(4, "embedding", 5)).toEqual(["embedding", 5]);
  expect(withKind(["margin", 4, 2], "predicted", 5)).toBeNull();
  expect(withKind("difference", "function", 5)).toBe("difference");
});

test("one number changes and the others stay", () => {
  expect(withNumber(["margin", 4, 2], 1, 3)).toEqual(["margin", 4, 3]);
  expect(withNumber(["margin", 4, 2], 0, null)).toEqual(["margin", null, 2]);
  expect(withNumber(4, 0, 7)).toBe(7);
});

test("answers are compared by value", () => {
  expect(isOf(["margin", 4, 2], ["margin", 4, 2])).toBe(true);
  expect(isOf(["margin", 4, 2], ["margin", 2, 4])).toBe(false);
  expect(isOf(undefined, null)).toBe(true);
  expect(isOf(null, 0)).toBe(false);
});
