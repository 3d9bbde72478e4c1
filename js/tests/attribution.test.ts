import { expect, test } from "vitest";
import {
  type AttributionCurves,
  bandPath,
  columnsOf,
  curvePath,
  endsOf,
  isAbout,
  type Method,
  mapHeat,
  rangeOf,
  thumbnail,
  withSetting,
} from "../src/lib/attribution";
import type { Explained } from "../src/lib/explained";
import { LAST_CODE, NO_VALUE, ZERO_CODE } from "../src/lib/wire";
import { floats } from "./make";

test("an answer is about the image and the target that Python names", () => {
  const answer = { image_index: 1, explained: ["margin", 3, 5] } as const;
  const about = (image: number, explained: Explained) =>
    isAbout({ ...answer, explained: [...answer.explained] }, image, explained);
  expect(about(1, ["margin", 3, 5])).toBe(true);
  expect(about(1, ["margin", 3, 4])).toBe(false);
  expect(about(0, ["margin", 3, 5])).toBe(false);
  expect(about(1, null)).toBe(false);
  expect(isAbout({ image_index: 1, explained: null }, 1, 3)).toBe(false);
  expect(isAbout({ image_index: 1, explained: null }, 1, null)).toBe(true);
  expect(isAbout({}, 0, null)).toBe(false);
});

test("a band goes there along the low ends and back along the high ones", () => {
  const answer = {
    names: ["a", "b"],
    fractions: [0, 1],
    deletion_ends: floats([0, 0.5, 1, 1, Number.NaN, 0, 1, 1], [2, 2, 2]),
  } as unknown as AttributionCurves;
  const [first, second] = endsOf(answer, "deletion");
  expect(second).toEqual([]);
  const path = bandPath(answer.fractions, first, { low: 0, high: 1 });
  expect(path).toBe("M0.0000 1.0000L1.0000 0.5000L1.0000 0.0000L0.0000 0.0000Z");
  expect(bandPath(answer.fractions, second, { low: 0, high: 1 })).toBe("");
  expect(endsOf({ ...answer, deletion_ends: {} }, "deletion")).toEqual([[], []]);
});

test("signed maps have zero in the middle, flat ones do not divide by zero", () => {
  const signed = mapHeat(Float32Array.of(-4, 0, 1, Number.NaN), 2, 2, true);
  expect([...signed.levels]).toEqual([0, ZERO_CODE, 191, NO_VALUE]);
  expect([...mapHeat(Float32Array.of(0, 0), 1, 2, false).levels]).toEqual([0, 0]);
  expect([...mapHeat(Float32Array.of(2, 2), 1, 2, false).levels]).toEqual([LAST_CODE, LAST_CODE]);
});

test("a small picture is of its own map, and there is none before that is made", () => {
  const values = floats([1, 0, Number.NaN, Number.NaN], [2, 1, 2]);
  expect([...(thumbnail(values, 0)?.levels ?? [])]).toEqual([LAST_CODE, 0]);
  expect(thumbnail(values, 1)).toBeNull();
  expect(thumbnail({}, 0)).toBeNull();
});

test("curves share a range, and a curve without numbers has no path", () => {
  expect(rangeOf([[0.2, Number.NaN], [-0.5]])).toEqual({ low: -0.5, high: 1 });
  const range = { low: 0, high: 2 };
  expect(curvePath([0, 1], [2, 0], range)).toBe("M0.0000 0.0000L1.0000 1.0000");
  expect(curvePath([0, 1], [Number.NaN, Number.NaN], range)).toBe("");
});

test("the table has the columns that have numbers", () => {
  const found = columnsOf([{ abpc: 0.5, iou: null }, { deletion: 0.1 }]);
  expect(found.map(({ name }) => name)).toEqual(["abpc", "deletion"]);
});

test("a setting that is as by default is not kept", () => {
  const steps: Method["settings"][number] = {
    ...{ name: "steps", words: "steps", kind: "number", default: 50 },
    ...{ choices: [], low: 10, high: 200, step: 10 },
  };
  const changed = withSetting({ rise: { cells: 4 } }, "ig", steps, 20);
  expect(changed).toEqual({ rise: { cells: 4 }, ig: { steps: 20 } });
  expect(withSetting(changed, "ig", steps, 50)).toEqual({ rise: { cells: 4 }, ig: {} });
});
