import { expect, test } from "vitest";
import {
  listing,
  oneOf,
  probability,
  roughWeight,
  shortWeight,
  tokenName,
  weight,
} from "../src/lib/format";
import { parseColour, themeOf } from "../src/lib/theme";
import { axis, tokens } from "./make";

test("weights have the digits that they mean", () => {
  expect([0, 0.32951, 0.00123, 0.000012345].map(weight)).toEqual([
    "0",
    "0.3295",
    "0.0012",
    "1.2 × 10⁻⁵",
  ]);
  expect(weight(Number.NaN)).toBe("–");
  expect([0.32951, 0, 0.00002].map(roughWeight)).toEqual(["≈ 0.33", "≈ 0", "≈ 2 × 10⁻⁵"]);
  expect([1, 0.5, 0.0004].map(shortWeight)).toEqual(["1.00", "0.500", "4 × 10⁻⁴"]);
  expect([0.71, 0.001, 0].map(probability)).toEqual(["0.71", "< 0.01", "0.00"]);
});

test("tokens are named by what they are", () => {
  const own = tokens([2, 3], ["class", "register 0"]);
  expect([0, 1, 2, 7, 8].map((token) => tokenName(token, own))).toEqual([
    "class token",
    "register 0 token",
    "patch (0, 0)",
    "patch (1, 2)",
    "token 8",
  ]);
  expect(listing([1, 3, 5])).toBe("1, 3 and 5");
});

test("patches are named by the layer, prefix tokens by the selection", () => {
  const coarse = { reference: axis([8, 8], ["class"]), asked: axis([2, 4]) };
  expect([0, 1, 64].map((token) => tokenName(token, coarse))).toEqual([
    "class token",
    "patch (0, 0)",
    "patch (1, 3)",
  ]);
  const middle = { reference: axis([4, 4]), asked: axis([2, 2], [], [0.25, 0.25, 0.75, 0.75]) };
  expect(tokenName(0, middle)).toBe("token 0"); // no patch of this layer
});

test("signs are said, and one of many is named", () => {
  expect([weight(-0.25), roughWeight(-0.25), shortWeight(-0.25)]).toEqual([
    "−0.2500",
    "≈ −0.25",
    "−0.250",
  ]);
  expect(weight(-0.00002)).toBe("−2.0 × 10⁻⁵");
  expect(["queries", "keys", "channels"].map(oneOf)).toEqual(["query", "key", "channel"]);
});

test("the theme follows what is behind the widget", () => {
  expect(themeOf("rgb(17, 17, 17)", false)).toBe("dark");
  expect(themeOf("rgb(255, 255, 255)", true)).toBe("light");
  expect(themeOf("color(srgb 0.1 0.1 0.12)", false)).toBe("dark");
  expect(themeOf(null, true)).toBe("dark");
  expect(parseColour("rgba(0, 0, 0, 0)")?.alpha).toBe(0);
  expect(parseColour("oklch(0.2 0 0)")).toBeNull();
});
