import { expect, test } from "vitest";
import { cellCache, inView, wanted } from "../src/lib/neuron_atlas";

/** Cells of one pixel, whose colour is the neuron's number. */
function packet(layer: number, first: number, count: number) {
  const pixels = Array.from({ length: count }, (_, i) => [first + i, 0, 0]).flat();
  const view = new Uint8Array(pixels);
  const images = { dtype: "u1", shape: [count, 1, 1, 3], scale: 1, offset: 0, curve: "raw", view };
  return { layer, first, images, captions: [`of ${first}`], note: "" } as Parameters<
    ReturnType<typeof cellCache>["add"]
  >[0];
}

// Breaks when a row that is half on screen is left out, or all three thousand cells are made.
test("the rows on screen, and one more to both sides", () => {
  const grid = { columns: 10, row: 20 };
  expect(inView({ top: 0, height: 50 }, grid, 3072)).toEqual({ first: 0, last: 40 });
  expect(inView({ top: 410, height: 50 }, grid, 3072)).toEqual({ first: 190, last: 240 });
  expect(inView({ top: 6100, height: 50 }, grid, 3072)).toEqual({ first: 3040, last: 3072 });
});

// Breaks when cells are shown for another neuron or another layer.
test("cells are kept by layer and neuron", () => {
  const cells = cellCache();
  cells.add(packet(1, 30, 2));
  expect(cells.get(1, 31)?.rgb[0]).toBe(31);
  expect(cells.get(1, 30)?.caption).toBe("of 30");
  expect(cells.get(0, 30)).toBeUndefined();
  expect(cells.get(1, 32)).toBeUndefined();
});

// Breaks when an atlas of a large model fills the memory of the page.
test("the cells that came first go first", () => {
  const cells = cellCache(9); // three pixels
  cells.add(packet(0, 0, 2));
  cells.add(packet(0, 2, 2));
  expect([0, 1, 2, 3].map((n) => cells.get(0, n)?.rgb[0])).toEqual([undefined, 1, 2, 3]);
  cells.add(packet(0, 1, 1)); // again: it is the latest now
  cells.add(packet(0, 4, 1));
  expect([1, 2, 3, 4].map((n) => cells.get(0, n)?.rgb[0])).toEqual([1, undefined, 3, 4]);
});

// Breaks when Python is asked for what is there, or for nothing at all.
test("only what lacks is asked for", () => {
  const cells = cellCache();
  cells.add(packet(0, 0, 5));
  expect(wanted(cells, 0, { first: 0, last: 5 })).toBeNull();
  expect(wanted(cells, 0, { first: 0, last: 9 })).toEqual({ layer: 0, first: 5, count: 4 });
  expect(wanted(cells, 1, { first: 0, last: 5 })).toEqual({ layer: 1, first: 0, count: 5 });
});
