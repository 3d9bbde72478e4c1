import { expect, test } from "vitest";
import {
  answered,
  featuresTraits,
  headMasks,
  opaque,
  plainHeat,
  segmentColour,
  segmentPixels,
  signedHeat,
  together,
} from "../src/lib/patch_features";
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

test("an answer counts for what it says it is about, and for nothing else", () => {
  const selected = { ...featuresTraits, layer: 2, image_index: 0, query: 5 };
  const get = (key: keyof typeof selected) => selected[key];
  const about = { layer: 2, image_index: 0, of: "tokens", tau: 0.2, refined: false };
  expect(answered(about, get as never)).toBe(about);
  for (const other of [{ of: "keys" }, { tau: 0.3 }, { refined: true }, { layer: 1 }, { query: 6 }])
    expect(answered({ ...about, ...other }, get as never)).toBeNull();
  expect(answered({}, get as never)).toBeNull();
});

test("masks of heads hold their share, and all heads together are their union", () => {
  const weights = new Float32Array([0.5, 0.3, 0.1, 0.1, 0, 0, 0.2, 0.8]);
  const [first, second] = headMasks(weights, 2, 0.7);
  expect([...first.mask]).toEqual([1, 1, 0, 0]);
  expect([...second.mask]).toEqual([0, 0, 0, 1]);
  const both = together([first, second]);
  expect([...both.mask]).toEqual([1, 1, 0, 1]);
  expect(both.weights[3]).toBeCloseTo(0.45);
});

test("attention is drawn on a square-root scale, and what is not seen has no value", () => {
  const { levels, maximum, signed } = plainHeat([0, 0.25, 1, Number.NaN], 2, 2);
  expect([...levels]).toEqual([0, 127, 254, 255]);
  expect([maximum, signed]).toEqual([1, false]);
});

test("patches without a colour are transparent", () => {
  expect([...opaque([1, 2, 3, 4, 5, 6], [0, 1])]).toEqual([1, 2, 3, 0, 4, 5, 6, 255]);
});
