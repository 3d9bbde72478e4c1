import { expect, test } from "vitest";
import { colormap, parseHex } from "../src/lib/colormap";
import { memoryStore } from "../src/lib/store";
import {
  type Entry,
  exactWeight,
  type Followed,
  levelsShown,
  numbersOf,
  ordered,
  owningHead,
  type Rows,
  separationOf,
  type ViewsTraits,
  viewsTraits,
  type Whole,
} from "../src/lib/views";
import { viewsOf } from "../src/lib/views_data";
import {
  kernel,
  type Planes,
  paintField,
  patchOf,
  planes,
  product,
  scaleOf,
  slice,
} from "../src/lib/views_field";
import { floats } from "./make";

/** (channel, row, col) with a value of its own everywhere. */
function some(channels: number, rows: number, cols: number, start = 1): Planes {
  const values = Float32Array.from({ length: channels * rows * cols }, (_, i) => start + i);
  return { channels, rows, cols, values };
}

/** As Python packs signed values: codes around 127, one scale for each slice. */
function signed(values: number[][], whole: number[]): Whole {
  const scale = values.map((one) => Math.max(...one.map(Math.abs)));
  const codes = values.flatMap((one, i) =>
    one.map((v) => 127 + Math.sign(v) * Math.round(Math.sqrt(Math.abs(v) / scale[i]) * 127)),
  );
  const shape = [values.length, values[0].length];
  const view = new Uint8Array(codes);
  return { dtype: "u1", shape, scale, offset: 0, curve: "signed sqrt", view, whole };
}

/** The value behind a root. */
const square = (root: number) => root * Math.abs(root);

test("a view at level 0 is the image times the filter, laid like tiles", () => {
  const [filter, image] = [some(2, 2, 3), some(2, 5, 7, -20)];
  const [signed, colours] = [product(filter, image, "signed"), product(filter, image, "clipped")];
  expect([signed.rows, signed.cols]).toEqual([2, 2]); // a row and a column are left over
  expect([signed.planes.length, colours.planes.length]).toEqual([1, 2]);
  for (let y = 0; y < 4; y++)
    for (let x = 0; x < 6; x++) {
      const at = (c: number) =>
        image.values[(c * 5 + y) * 7 + x] * filter.values[(c * 2 + (y % 2)) * 3 + (x % 3)];
      expect(square(signed.planes[0][y * 6 + x])).toBeCloseTo(at(0) + at(1), 3);
      for (const c of [0, 1])
        expect(square(colours.planes[c][y * 6 + x])).toBeCloseTo(Math.max(0, at(c)), 3);
    }
});

test("a local view is one tile, and its peak that of the patch", () => {
  const [filter, image] = [some(3, 2, 3), some(3, 4, 6, -30)];
  for (const display of ["signed", "clipped"] as const) {
    const field = product(filter, image, display);
    const local = patchOf(field, 1, 1);
    field.planes.forEach((plane, c) => {
      const tile = [2, 3].flatMap((y) => [3, 4, 5].map((x) => plane[y * 6 + x]));
      expect([...local.planes[c]]).toEqual(tile);
    });
    const sizes = local.planes.flatMap((plane) => [...plane].map((v) => v * v));
    expect(local.peaks[0]).toBeCloseTo(Math.max(...sizes), 3);
    expect(field.peaks[3]).toBe(local.peaks[0]);
  }
});

test("a filter alone has the scale of its own largest value", () => {
  const filter = { channels: 1, rows: 1, cols: 2, values: Float32Array.of(-4, 1) };
  expect(scaleOf(kernel(filter, "signed"), null)).toBe(4);
  expect(scaleOf(kernel(filter, "clipped"), null)).toBe(1);
});

test("weights scale their own patches: the signed colours, and black below zero", () => {
  const filter = { channels: 1, rows: 1, cols: 1, values: Float32Array.of(1) };
  const image = { channels: 1, rows: 1, cols: 3, values: Float32Array.of(-2, 1, 1) };
  const weights = [0.5, 1, 0.25];
  const pixels = new Uint32Array(3);
  const channels = (pixel: number) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const signed = product(filter, image, "signed");
  expect(scaleOf(signed, weights)).toBe(1);
  paintField(pixels, signed, weights, 1);
  const table = colormap("signed");
  const at = (code: number) => parseHex(table[Math.round((code / 254) * 255)]);
  expect([...pixels].map(channels)).toEqual([at(0), at(254), at(191)]); // ½, the root of ¼
  paintField(pixels, signed, null, 0); // nothing to see divides by nothing
  expect(new Set(pixels).size).toBe(1);
  paintField(pixels, product(filter, image, "clipped"), weights, 1);
  expect([...pixels].map(channels)).toEqual([0, 255, 128].map((v) => [v, v, v]));
  expect(pixels[0] >>> 24).toBe(255);
});

test("a feature belongs to one head, and levels are thinned for deep models", () => {
  expect([0, 31, 32, 191].map((filter) => owningHead(filter, 192, 6))).toEqual([0, 0, 1, 5]);
  expect(levelsShown(6)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(levelsShown(12)).toEqual([0, 4, 8, 12]);
  expect(ordered(4, undefined)).toEqual([0, 1, 2, 3]);
  expect(ordered(4, [1, 3, 3, 2])).toEqual([1, 2, 3, 0]);
});

const way: Followed = { image_index: 0, head: 0, residual: true, heads: "mean" };

/** Rows of (token, head, level, patch), every value 1 of a scale that tells which map it is. */
function rows(tokens: number[], heads: number, changes: Partial<Rows> = {}): Rows {
  const maps = tokens.length * heads * 3;
  const packed = {
    dtype: "u1",
    shape: [tokens.length, heads, 3, 2],
    scale: Array.from({ length: maps }, (_, i) => tokens[0] * 100 + i),
    offset: 0,
    curve: "sqrt",
    view: new Uint8Array(maps * 2).fill(254),
  } as const;
  const rest = { tokens, rows: { ...packed, shape: [...packed.shape] }, head_count: 2, note: "" };
  return { ...way, ...rest, ...changes };
}

type Read = ViewsTraits & { image_index: number; query: number; head: number };

function page() {
  const weights = signed(
    [
      [1, -0.5],
      [0.25, 1],
      [1, 1],
      [-1, 1],
    ],
    [4, 1, 1, 2],
  );
  const store = memoryStore({
    ...viewsTraits,
    image_index: 0,
    query: 1,
    head: 0,
    views_filters: { weights, bias: floats([0.5, 0, 0, 0], [4]), path: "proj", note: "" },
    views_image: {
      image_index: 0,
      pixels: signed([[1, 2, -1, 0.5]], [1, 1, 4]),
      scores: {},
      note: "",
    },
  } as Read);
  return { store, views: viewsOf(store, new AbortController().signal) };
}

test("arrays are read by their slices", () => {
  const weights = signed(
    [
      [1, -0.5],
      [0.25, 1],
    ],
    [2, 1, 1, 2],
  );
  expect([...slice(weights, 1).values].map((v) => Number(v.toFixed(2)))).toEqual([0.25, 1]);
  const read = planes(
    signed(
      [
        [2, -2],
        [1, 0.5],
      ],
      [2, 1, 2],
    ),
  );
  expect(read.values[0]).toBe(2);
  expect(read.values[1]).toBe(-2);
  expect([read.channels, read.rows, read.cols]).toEqual([2, 1, 2]);
});

test("rows gather while the way is the same, and none of another way is shown", () => {
  const { store, views } = page();
  expect(views.weights(1, 1, 0)).toBeNull();
  store.set("views_rows", rows([1], 1));
  store.set("views_rows", rows([2], 1));
  expect(views.weights(1, 2, 0)?.maximum).toBe(102);
  expect(views.weights(2, 0, 0)?.maximum).toBe(200);
  expect([...(views.weights(2, 0, 0)?.values ?? [])]).toEqual([200, 200]);
  expect(views.weights(2, 3, 0)).toBeNull();
  expect(views.layers()).toBe(2);
  store.set("views_residual", false);
  expect(views.weights(1, 2, 0)).toBeNull();
  store.set("views_rows", rows([2], 1, { residual: false }));
  expect(views.weights(1, 2, 0)).toBeNull(); // of the other way
  expect(views.weights(2, 2, 0)?.maximum).toBe(202);
});

test("where each feature has its own head, a filter shows the rows of its own", () => {
  const { store, views } = page();
  store.update({ views_rows: rows([0, 1], 2, { heads: "own" }), views_heads: "own" });
  // token 1, heads 0 and 1, level 2 of 3
  expect(views.weights(1, 2, 1)?.maximum).toBe(8);
  expect(views.weights(1, 2, 2)?.maximum).toBe(11);
});

test("the head counts only where one is chosen", () => {
  const { store, views } = page();
  store.set("views_rows", rows([1], 1));
  store.set("head", 1);
  expect(views.current()).toBe(true);
  store.update({ views_heads: "one", views_rows: rows([1], 1, { heads: "one", head: 0 }) });
  expect(views.current()).toBe(false);
  store.set("head", 0);
  expect(views.current()).toBe(true);
});

test("pixels of images that were seen stay, for filters that are compared on them", () => {
  const { store, views } = page();
  expect(views.field(0)?.planes[0][1]).toBeCloseTo(-1, 1);
  store.set("image_index", 1);
  expect(views.field(0)).toBeNull();
  const pixels = signed([[4, 4, 4, 4]], [1, 1, 4]);
  store.set("views_image", { image_index: 1, pixels, scores: {}, note: "" });
  expect(views.field(0)?.planes[0][0]).toBeCloseTo(2, 5);
  expect(views.images()).toEqual([0, 1]);
  expect(views.field(0, 0)?.planes[0][1]).toBeCloseTo(-1, 1);
});

test("a refusal is an answer, and numbers are those of the token that is asked about", () => {
  const { store, views } = page();
  store.set("views_rows", rows([], 1, { rows: {}, note: "windows" }));
  expect(views.refused()).toBe(true);
  const entry: Entry = {
    ...way,
    query: 1,
    weights: floats([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [2, 2, 2]),
    sums: floats([1, 2, 3, 4], [4]),
    position: floats([0.25, 0, 0, 0], [4]),
    embedding: floats([1.75, 0, 0, 0], [4]),
    fixed: true,
    note: "",
  };
  store.set("views_entry", entry);
  expect(views.entry()).toBe(entry);
  const numbers = numbersOf(views.entry(), store.get("views_filters"), 0);
  expect(numbers).toEqual({ sum: 1, bias: 0.5, position: 0.25, embedding: 1.75, fixed: true });
  expect(exactWeight(views.entry(), 1, 0, 3, 4)).toBeCloseTo(0.7, 6); // head 1, level 1
  expect(exactWeight(views.entry(), 2, 0, 0, 4)).toBeNull();
  store.set("query", 2);
  expect(views.entry()).toBeNull();
  expect(numbersOf(views.entry(), store.get("views_filters"), 0)).toBeNull();
});

test("a separation is that of the objects that are drawn, on the image in view", () => {
  const drawn = Uint8Array.from([0, 1, 1, 2]);
  const view = new DataView(drawn.slice().buffer);
  const objects = { dtype: "u1", shape: [2, 2], scale: 1, offset: 0, curve: "raw", view } as const;
  const found = { image_index: 3, objects: { ...objects, shape: [2, 2] }, scores: [1], note: "" };
  expect(separationOf(found, 3, drawn)).toBe(found);
  expect(separationOf(found, 2, drawn)).toBeNull();
  expect(separationOf(found, 3, Uint8Array.from([0, 1, 1, 1]))).toBeNull();
  expect(separationOf(found, 3, Uint8Array.from([0, 1, 1, 2, 0, 0]))).toBeNull();
  expect(separationOf({ ...found, objects: {} }, 3, drawn)).toBeNull();
  expect(separationOf({}, 3, drawn)).toBeNull();
});
