import { expect, test } from "vitest";
import type { Axis } from "../src/lib/geometry";
import { memoryStore } from "../src/lib/store";
import {
  objectPixels,
  objectsOf,
  objectsOfLayer,
  packedObjects,
  painted,
  present,
  type TokenMaskTraits,
} from "../src/lib/token_mask";

const extent = { top: 0, left: 0, bottom: 1, right: 1 };
const fine: Axis = { rows: 4, cols: 4, prefix: 1, names: ["class"], extent };
const coarse: Axis = { ...fine, rows: 2, cols: 2 };

test("what is painted is what is read back, for its image and its grid", () => {
  const objects = painted(new Uint8Array(16), [{ row: 1, col: 2 }], fine, 3);
  expect(objects[6]).toBe(3);
  const mask = { image_index: 1, values: packedObjects(objects, fine) };
  const store = memoryStore<TokenMaskTraits & { image_index: number }>({
    image_index: 1,
    token_mask: mask,
  });
  expect([...objectsOf(store, fine)]).toEqual([...objects]);
  expect(objectsOf(store, coarse).some(Boolean)).toBe(false);
  store.set("image_index", 0);
  expect(objectsOf(store, fine).some(Boolean)).toBe(false);
});

test("a coarser layer takes the object at the centre of its patches", () => {
  const seen = (row: number, col: number) => {
    const objects = painted(new Uint8Array(16), [{ row, col }], fine, 2);
    return [...objectsOfLayer(objects, { reference: fine, asked: coarse })];
  };
  expect(seen(3, 1)).toEqual([0, 0, 2, 0]); // a centre on the line belongs to the later patch
  expect(seen(2, 0)).toEqual([0, 0, 0, 0]);
  const objects = painted(new Uint8Array(16), [{ row: 1, col: 3 }], fine, 2);
  expect(objectsOfLayer(objects, { reference: fine, asked: fine })).toEqual(objects);
});

test("objects have colours, the background none", () => {
  expect(present(Uint8Array.from([2, 0, 1, 2]))).toEqual([1, 2]);
  const pixels = objectPixels(Uint8Array.from([0, 1]));
  expect(pixels[3]).toBe(0);
  expect(pixels[7]).toBe(255);
});
