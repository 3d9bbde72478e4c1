import { expect, test } from "vitest";
import type { Axis } from "../src/lib/geometry";
import {
  type Cloud,
  cloudOf,
  coloursOf,
  enclosed,
  NO_COLOUR,
  nearest,
  patchColours,
  patchPoints,
  placeColour,
  pointName,
  pointOfQuery,
  queryOf,
  type ScatterPoints,
  sameTokens,
  selection,
} from "../src/lib/scatter";
import type { Packed } from "../src/lib/wire";

const extent = { top: 0, left: 0, bottom: 1, right: 1 };
const names = ["class", "register 0"];
const axis: Axis = { rows: 2, cols: 3, prefix: 2, names, extent };
const tokens = { reference: axis, asked: axis };

function packed(numbers: readonly number[], shape = [numbers.length]): Packed {
  const view = Float32Array.from(numbers).buffer;
  return { dtype: "f4", shape, scale: 1, offset: 0, curve: "linear", view };
}

/** Two images of two prefix tokens and 2 x 3 patches, on a line. */
function raw(more: Partial<ScatterPoints> = {}): ScatterPoints {
  const count = 16;
  return {
    layer: 0,
    image_index: 4,
    method: "pca",
    span: "all images",
    points: packed(
      Array.from({ length: 2 * count }, (_, i) => (i % 2 ? 5 : i / 2)),
      [count, 2],
    ),
    image: packed(Array.from({ length: count }, (_, i) => 4 + Math.floor(i / 8))),
    token: packed(Array.from({ length: count }, (_, i) => i % 8)),
    prefix: names,
    grid: [2, 3],
    explained: [],
    done: 0,
    total: 0,
    note: "",
    ...more,
  };
}
const cloud = cloudOf(raw()) as Cloud;

test("points lie between -1 and 1, on one scale along both axes", () => {
  expect(cloud.count).toBe(16);
  expect([cloud.x[0], cloud.x[15]]).toEqual([-1, 1]);
  expect([...new Set(cloud.y)]).toEqual([0]);
  const tall = cloudOf(raw({ points: packed([0, 0, 1, 4], [2, 2]), image: {}, token: {} }));
  expect([...(tall?.x ?? [])]).toEqual([-0.25, 0.25]);
  expect([...(tall?.y ?? [])]).toEqual([-1, 1]);
  expect([...(tall?.image ?? [])]).toEqual([4, 4]); // those of the image in view, in order
  expect([...(tall?.token ?? [])]).toEqual([0, 1]);
  expect(cloudOf(raw({ points: {} }))).toBeNull();
  expect(cloudOf({} as never)).toBeNull();
});

test("a patch is the token after the prefix, of its own image", () => {
  expect([...patchPoints(cloud, 4)]).toEqual([2, 3, 4, 5, 6, 7]);
  expect([...patchPoints(cloud, 5)]).toEqual([10, 11, 12, 13, 14, 15]);
  expect([...patchPoints(cloud, 6)]).toEqual(Array(6).fill(-1));
  expect(pointName(cloud, 8 + 2 + 4)).toBe("patch (1, 1)");
  expect(pointName(cloud, 1)).toBe("register 0 token");
  expect(pointName({ ...cloud, cols: 0, rows: 0, prefix: [] }, 5)).toBe("token 5");
});

test("a query and its point are found from each other, also on another grid", () => {
  for (let query = 0; query < 8; query++) {
    const point = pointOfQuery(cloud, 5, query, tokens);
    expect(point).toBe(8 + query);
    expect(queryOf(cloud, point, tokens)).toBe(query);
  }
  const fine: Axis = { ...axis, rows: 4, cols: 6, prefix: 1, names: ["class"] };
  const mixed = { reference: fine, asked: axis };
  expect(pointOfQuery(cloud, 4, 1 + 3 * 6 + 5, mixed)).toBe(7);
  expect(queryOf(cloud, 7, mixed)).toBe(1 + 3 * 6 + 5);
  expect(queryOf(cloud, 1, mixed)).toBeNull(); // a register that the selection does not have
});

test("the lasso holds what it goes around, also where it is bent inwards", () => {
  const spots = { x: Float32Array.from([0, 0.5, 0.9, -0.5]), y: Float32Array.from([0, 0, 0, 0.2]) };
  const bent = [
    { x: -1, y: -1 },
    { x: 1, y: -1 },
    { x: 1, y: 1 },
    { x: 0.5, y: -0.5 },
    { x: -1, y: 1 },
  ];
  expect(enclosed(spots, bent)).toEqual([2, 3]);
  expect(enclosed(spots, [])).toEqual([]);
  expect(nearest(spots, { x: 0.45, y: 0.05 }, 0.1)).toBe(1);
  expect(nearest(spots, { x: 0.2, y: 0.2 }, 0.1)).toBe(-1);
  expect(selection([3, 1], [2, 1], true)).toEqual([1, 2, 3]);
  expect(selection([3, 1], [2], false)).toEqual([2]);
});

test("points have the colours of their values, and none without one", () => {
  const label = Array.from({ length: 16 }, (_, i) => (i < 8 ? i % 2 : Number.NaN));
  const { rgb, legend } = coloursOf(cloud, "cluster", label, "magma");
  expect(legend.groups.map(({ name, count }) => [name, count])).toEqual([
    ["cluster 0", 4],
    ["cluster 1", 4],
  ]);
  expect(rgb[0]).toEqual(legend.groups[0].colour);
  expect(rgb[8]).toBe(NO_COLOUR);
  const objects = coloursOf(cloud, "object", label, "magma");
  expect(objects.rgb[0]).toBe(NO_COLOUR); // 0 is no object
  expect(objects.legend.groups[0].name).toBe("background");
  const norms = coloursOf(cloud, "norm", Array.from(cloud.token), "viridis");
  expect(norms.legend.range).toEqual({ low: 0, high: 7 });
  expect(norms.rgb[7]).toEqual([253, 231, 37]); // the last of viridis
  expect(coloursOf(cloud, "norm", null, "viridis").rgb[3]).toBe(NO_COLOUR);
  const images = coloursOf(cloud, "image", null, "magma", ["", "", "", "", "a", "b"]);
  expect(images.legend.groups.map(({ name }) => name)).toEqual(["a", "b"]);
  const places = coloursOf(cloud, "position", null, "magma");
  expect(places.rgb[2]).toEqual(placeColour(0, 0));
  expect(places.rgb[15]).toEqual(placeColour(1, 1));
  expect(places.rgb[0]).toBe(NO_COLOUR); // a class token has no place
});

test("patches on the picture have the colours of their points, the selected ones alone", () => {
  const { rgb } = coloursOf(cloud, "position", null, "magma");
  const points = patchPoints(cloud, 5);
  const all = patchColours(points, rgb, new Set());
  expect([...all.slice(4, 7)]).toEqual([...rgb[11]]);
  const some = patchColours(points, rgb, new Set([12, 2]));
  expect([0, 1, 2, 3, 4, 5].filter((patch) => some[patch * 4 + 3] > 0)).toEqual([2]);
});

test("frames of the same tokens are known, so that points can move from one to the next", () => {
  expect(sameTokens(cloud, cloudOf(raw({ layer: 1 })) as Cloud)).toBe(true);
  const other = raw({ image: packed(Array(16).fill(4)) });
  expect(sameTokens(cloud, cloudOf(other) as Cloud)).toBe(false);
});
