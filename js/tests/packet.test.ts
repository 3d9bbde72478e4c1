import { expect, test } from "vitest";
import { type AttentionTraits, attentionOf } from "../src/lib/attention";
import { hasRow, type ImageLayer, type RawPacket, readPacket } from "../src/lib/packet";
import { readout, remark, sentence } from "../src/lib/readout";
import { memoryStore } from "../src/lib/store";
import { floats, imageLayer, packet, rawAxis } from "./make";

const NONE = Number.NaN;

function attention(maps: RawPacket, more: Partial<AttentionTraits> = {}) {
  const store = memoryStore<AttentionTraits>({
    maps,
    exact: {},
    image: {},
    layer: 0,
    head: 0,
    heads: [],
    query: 0,
    image_index: 0,
    direction: "attends to",
    ...more,
  });
  return attentionOf(store, new AbortController().signal);
}

function said(maps: RawPacket, more: Partial<AttentionTraits> = {}, pointed: number | null = null) {
  const view = attention(maps, more);
  const shown = view.shown();
  const read = readout(view, pointed);
  return { read, sentence: read && sentence(read), remark: shown && remark(shown) };
}

test("a layer knows what selects it: the reference, else what asks, else its own tokens", () => {
  const pooled = { ...imageLayer([[[0.5, 0.5]]], [1, 2]), asked: rawAxis([4, 8], ["class"]) };
  const own = imageLayer([[[0.5, 0.5]]], [1, 2]);
  const read = (maps: RawPacket) => readPacket(maps)?.layers as ImageLayer[];
  const [alone, plain] = read(packet([pooled, own]));
  expect(alone.reference).toEqual(alone.asked);
  expect([alone.asked.rows, alone.asked.prefix, alone.rows]).toEqual([4, 1, 1]);
  expect([plain.asked.rows, plain.reference.cols]).toEqual([1, 2]);
  const [given] = read(packet([pooled], [0], 0, rawAxis([8, 16], ["class"], [0, 0, 1, 0.9])));
  expect([given.reference.rows, given.reference.extent.right, given.asked.rows]).toEqual([
    8, 0.9, 4,
  ]);
});

test('with pooled keys nothing is "itself": the largest is read, and no token index is claimed', () => {
  const pooled = { ...imageLayer([[[0.2, 0.8]]], [1, 2]), asked: rawAxis([4, 8]) };
  const { read } = said(packet([pooled], [9]), { query: 9 });
  expect(read).toMatchObject({ query: "patch (1, 1)", target: "(0, 1)", more: "largest" });
});

test("a window says how much of the picture is seen, and what is not", () => {
  const maps = packet([imageLayer([[[0.5, 0.5, NONE, NONE]]], [2, 2])]);
  expect(said(maps).remark).toBe("Hatched patches cannot be seen from here: 2 of 4 can.");
  expect(said(maps, {}, 3).read?.value).toBe("cannot be seen from here");
  expect(said(packet([imageLayer([[[0.5, 0.5]]], [1, 2])])).remark).toBe("");
});

test("a token that a layer does not have is said in words, and no number is given", () => {
  const layer = imageLayer([[[NONE, NONE]]], [1, 2]);
  const maps = packet([layer], [0], 0, rawAxis([2, 4], ["class"]));
  expect(hasRow(readPacket(maps)?.layers[0] as ImageLayer, 0)).toBe(false);
  const { read, remark, sentence } = said(maps);
  expect(remark).toBe("The class token is not part of this layer.");
  expect(read).toMatchObject({ target: "", more: "" });
  expect(sentence).toBe("Layer 0, head 0, class token is not part of this layer");
});

test("what a single token asks is the same for every selection, and needs no answer", () => {
  const only = { ...imageLayer([[[0.2, 0.8]]], [1, 2], ["class"]), only: "class token" };
  const maps = packet([only], [0]);
  const view = attention(maps, { query: 2 });
  expect(view.waitingSince()).toBeNull();
  expect(readout(view, null)).toMatchObject({ query: "class token", target: "(0, 1)" });
});

test("a matrix reads its axes by their names", () => {
  const channels: RawPacket = packet([
    {
      kind: "matrix",
      shape: [2, 2],
      axes: ["channels", "channels"],
      signed: false,
      cells: floats([0.1, 0.9, 0.7, 0.3], [1, 4]),
      maximum: null,
      entropy: null,
      reason: "It mixes channels.",
      kind_of_record: "channel",
      note: "",
    },
  ]);
  expect(said(channels, {}, 2).sentence).toBe("Layer 0, head 0, channel 1 → channel 0 ≈ 0.7");
  expect(said(channels).sentence).toBe("Layer 0, head 0, a matrix");
});
