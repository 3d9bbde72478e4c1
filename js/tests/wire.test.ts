import { expect, test } from "vitest";
import { isPacked, type Packed, toBytes, unpack, type WireBuffer } from "../src/lib/wire";

const bytes = new Uint8Array([0, 127, 254, 255, 10, 20]);

/** The same bytes as each host hands them over; a larger buffer lies around them. */
function flavours(data: Uint8Array, offset: number): [string, WireBuffer][] {
  const around = new Uint8Array(data.length + offset + 5).fill(99);
  around.set(data, offset);
  return [
    ["DataView", new DataView(around.buffer, offset, data.length)],
    ["Uint8Array", new Uint8Array(around.buffer, offset, data.length)],
    ["ArrayBuffer", data.slice().buffer],
  ];
}

const packed = (view: WireBuffer, more: Partial<Packed> = {}): Packed => ({
  dtype: "u1",
  shape: [2, 3],
  scale: 1,
  offset: 0,
  curve: "raw",
  view,
  ...more,
});

test.each([0, 1, 2, 3, 7])("offset and length of a buffer are honoured (offset %i)", (offset) => {
  for (const [name, view] of flavours(bytes, offset)) {
    expect([...toBytes(view)], name).toEqual([...bytes]);
    expect([...unpack(packed(view)).codes], name).toEqual([...bytes]);
  }
});

test.each([0, 1, 2, 3])("float32 is copied when it is misaligned (offset %i)", (offset) => {
  const values = new Float32Array([0.25, -1.5, Number.NaN]);
  for (const [name, view] of flavours(new Uint8Array(values.buffer), offset)) {
    const array = unpack(packed(view, { dtype: "f4", shape: [3], curve: "linear" }));
    expect(array.value(0, 1), name).toBe(-1.5);
    expect(array.value(0, 2), name).toBeNaN();
  }
});

test("sqrt codes are squared, each map on its own scale, and 255 is no value", () => {
  const array = unpack(packed(bytes, { curve: "sqrt", scale: [0.5, 2] }));
  expect(array.value(0, 0)).toBe(0);
  expect(array.value(0, 1)).toBeCloseTo(0.5 * (127 / 254) ** 2, 12);
  expect(array.value(0, 2)).toBe(0.5);
  expect(array.value(1, 0)).toBeNaN();
  expect(array.value(1, 2)).toBeCloseTo(2 * (20 / 254) ** 2, 12);
  expect(array.scale(1)).toBe(2);
});

test("signed codes are squared to both sides of 127", () => {
  const array = unpack(packed(bytes, { curve: "signed sqrt", scale: [0.5, 2] }));
  expect([0, 1, 2].map((i) => array.value(0, i))).toEqual([-0.5, 0, 0.5]);
  expect(array.value(1, 0)).toBeNaN();
  expect(array.value(1, 1)).toBeCloseTo(-2 * ((10 - 127) / 127) ** 2, 12);
});

test("linear codes have an offset; raw codes are values, 255 too", () => {
  const linear = unpack(packed(bytes, { curve: "linear", scale: 2, offset: -1 }));
  expect(linear.value(0, 2)).toBe(1);
  expect(linear.value(1, 0)).toBeNaN();
  expect(unpack(packed(bytes)).value(1, 0)).toBe(255);
});

test("a header that does not fit its buffer is refused with both numbers", () => {
  expect(() => unpack(packed(bytes, { shape: [2, 4] }))).toThrow("needs 8 bytes, 6 came");
  expect(() => unpack(packed(bytes, { dtype: "f8" as "f4" }))).toThrow("f8");
});

test("an absent array is an empty dict or null", () => {
  expect(isPacked({})).toBe(false);
  expect(isPacked(null)).toBe(false);
  expect(isPacked(packed(bytes))).toBe(true);
});
