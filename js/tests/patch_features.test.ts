import { expect, test } from "vitest";
import { opaque, segmentColour, segmentPixels, signedHeat } from "../src/lib/patch_features";
import { memoryStore } from "../src/lib/store";
import { current, type TokenLayer, tokensOf } from "../src/lib/token_layer";

test("zero is the middle of a signed map, and the largest magnitude its end", () => {
  const { levels, maximum } = signedHeat([0, 0.5, -1, Number.NaN], 2, 2);
  expect(maximum).toBe(1);
  expect([...levels]).toEqual([127, 191, 0, 255]);
  expect([...signedHeat([0, 0], 1, 2).levels]).toEqual([127, 127]);
});

test("the first sixteen segments have colours of their own", () => {
  const colours = Array.from({ length: 16 }, (_, i) => segmentColour(i).join());
  expect(new Set(colours).size).toBe(16);
  expect([...segmentPixels([1, 0])]).toEqual([...segmentColour(1), 255, ...segmentColour(0), 255]);
  expect([...opaque([1, 2, 3, 4, 5, 6])]).toEqual([1, 2, 3, 255, 4, 5, 6, 255]);
});

test("tokens are those of the layer and image in view, or none", () => {
  const axis = { grid: [2, 3] as [number, number], prefix: ["class"], box: [0, 0, 1, 1] as const };
  const about = { layer: 1, image_index: 0, block: "b", axis, reference: {}, note: "" };
  const store = memoryStore({
    layer: 1,
    image_index: 0,
    token_layer: about as never as TokenLayer,
  });
  expect(tokensOf(store)?.asked.cols).toBe(3);
  expect(tokensOf(store)?.reference.names).toEqual(["class"]);
  store.set("layer", 2);
  expect(current(store)).toBeNull();
  expect(tokensOf(store)).toBeNull();
});
