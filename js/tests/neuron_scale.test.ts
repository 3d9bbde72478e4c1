import { expect, test } from "vitest";
import { activation, change, grouped } from "../src/lib/format";
import { heatOf, meanOf, rangeOf } from "../src/lib/neuron_scale";
import { NO_VALUE } from "../src/lib/wire";

// Breaks when the lowest value is drawn as 0, or colours do not follow the values straight.
test("colours run straight from the smallest to the largest value", () => {
  const values = [-1, 0, 1, 3];
  const heat = heatOf(values, 2, 2, rangeOf(values));
  expect([...heat.levels]).toEqual([0, 64, 127, 254]);
  expect(heat.maximum).toBe(3);
});

// Breaks when a flat map, as last layers have, divides by 0 or is drawn at full strength.
test("a flat map has the lowest colour everywhere", () => {
  const heat = heatOf([2, 2], 1, 2, rangeOf([2, 2]));
  expect([...heat.levels]).toEqual([0, 0]);
});

// Breaks when a value beyond a shared scale wraps around, or a missing one gets a colour.
test("what is beyond the scale is clamped, what is missing stays so", () => {
  const heat = heatOf([-9, 9, Number.NaN], 1, 3, { low: 0, high: 1 });
  expect([...heat.levels]).toEqual([0, 254, NO_VALUE]);
});

// Breaks when a missing value makes a whole map unknown.
test("range and mean are those of the values that are there", () => {
  const values = [1, Number.NaN, 3];
  expect(rangeOf(values)).toEqual({ low: 1, high: 3 });
  expect(meanOf(values)).toBe(2);
  expect(rangeOf([])).toEqual({ low: 0, high: 0 });
  expect(meanOf([])).toBeNaN();
});

// Breaks when a number is rounded to nothing, or has digits that say nothing.
test("activations, counts and changes in words", () => {
  expect([9.414, 12.823, -0.171, 0.0123, 0.00042, 0].map(activation)).toEqual([
    "9.41",
    "12.82",
    "−0.17",
    "0.012",
    "4.2 × 10⁻⁴",
    "0",
  ]);
  expect([null, Number.NaN].map(activation)).toEqual(["–", "–"]);
  expect([7, 1184, 1234567].map(grouped)).toEqual(["7", "1\u202f184", "1\u202f234\u202f567"]);
  expect(change(0.62, 0.44)).toBe("0.62 → 0.44");
  expect(change(0.9531, 0.9528)).toBe("0.9531 → 0.9528");
  expect(change(0.95, 0.95)).toBe("0.95 → 0.95");
});
