import { expect, test } from "vitest";
import { type AttentionTraits, attentionOf } from "../src/lib/attention";
import { readout } from "../src/lib/readout";
import { memoryStore } from "../src/lib/store";
import { imageLayer, packet } from "./make";

const row = (value: number) => [
  [
    [value, 0.1, 0.2, 0.3],
    [0.5, value, 0, 0],
  ],
];

function setUp(more: Partial<AttentionTraits> = {}) {
  const store = memoryStore<AttentionTraits>({
    maps: packet([imageLayer(row(0.4), [2, 2], ["class"])], [1]),
    exact: {},
    image: {},
    layer: 0,
    head: 0,
    heads: [],
    query: 1,
    image_index: 0,
    direction: "attends to",
    ...more,
  });
  return { store, attention: attentionOf(store, new AbortController().signal) };
}

test("what was here before comes back at once, without Python", () => {
  const { store, attention } = setUp();
  store.set("query", 2);
  expect(attention.waitingSince()).not.toBeNull();
  expect(attention.shown()?.picture.query).toBe(1); // the last good picture stays
  store.set("maps", packet([imageLayer(row(0.6), [2, 2], ["class"])], [2]));
  expect(attention.waitingSince()).toBeNull();
  store.set("query", 1);
  expect(attention.waitingSince()).toBeNull();
  expect(attention.shown()?.picture.query).toBe(1);
});

test("rows of another image or of a changed model are not shown again", () => {
  const { store, attention } = setUp();
  store.set("maps", packet([imageLayer(row(0.6), [2, 2], ["class"])], [2]));
  expect(attention.of(2)).not.toBeNull();
  store.set("maps", packet([imageLayer(row(0.7), [2, 2], ["class"])], [1])); // other numbers
  expect(attention.of(2)).toBeNull();
  store.set("image_index", 1);
  expect(attention.of(1)).toBeNull();
});

test("an answer for an image that is no longer asked for changes nothing on screen", () => {
  const { store, attention } = setUp();
  store.set("maps", packet([imageLayer(row(0.9), [2, 2], ["class"])], [1], 7));
  expect(attention.shown()?.picture.packet.imageIndex).toBe(0);
  expect(attention.waitingSince()).not.toBeNull();
});

test("the other direction is another row", () => {
  const { store, attention } = setUp();
  store.set("direction", "attended by");
  expect(attention.waitingSince()).not.toBeNull();
});

test("a head or layer that this model does not have is shown as the nearest, and not written", () => {
  const { store, attention } = setUp({ head: 9, layer: 5, heads: [1, 9] });
  expect(attention.shown()).toMatchObject({ layerIndex: 0, head: 1, heads: [1] });
  expect(store.get("head")).toBe(9);
});

test("plain maps belong to no query: they answer for all", () => {
  const { attention } = setUp({
    maps: packet([imageLayer(row(0.4), [2, 2])], null, null),
    query: 3,
    image_index: 2,
  });
  expect(attention.waitingSince()).toBeNull();
  expect(readout(attention, null)?.target).toBe("(0, 0)"); // the largest
});

test("exact numbers are used when they belong to what is shown, else 8-bit ones are marked", () => {
  const { store, attention } = setUp();
  expect(readout(attention, 1)?.value).toBe("≈ 0.1");
  const exact = imageLayer(row(0.4), [2, 2], ["class"]);
  const numbers = new Float32Array(row(0.12345).flat(2));
  exact.cells = { ...exact.cells, dtype: "f4", curve: "linear", scale: 1, view: numbers };
  store.set("exact", packet([exact], [1]));
  expect(readout(attention, 0)?.value).toBe("0.1235");
  store.set("exact", packet([exact], [2]));
  expect(readout(attention, 0)?.value).toBe("≈ 0.4");
});

test("data that cannot be read is a sentence, and the last good picture stays", () => {
  const { store, attention } = setUp();
  const broken = imageLayer(row(0.4), [2, 2]);
  broken.cells = { ...broken.cells, shape: [1, 2, 5] };
  store.set("maps", packet([broken], [1]));
  expect(attention.problem()).toContain("bytes");
  expect(attention.shown()).not.toBeNull();
});
