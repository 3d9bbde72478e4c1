import { expect, test } from "vitest";
import { fillCode } from "../src/lib/code";

// breaks when the copied lines would open another layer, or a brace of the user's code is lost
test("the selection is filled in by name", () => {
  const state: Record<string, unknown> = { layer: 3, direction: "attended by" };
  const template = 'vw.inspect("demo", layer={layer}, direction="{direction}", a={})';
  expect(fillCode(template, (name) => state[name])).toBe(
    'vw.inspect("demo", layer=3, direction="attended by", a={})',
  );
  expect(
    fillCode(
      "a={a}, b={b}",
      (name) =>
        ({
          a: [
            [1, 2],
            [3, 4],
          ],
          b: true,
        })[name],
    ),
  ).toBe("a=[[1, 2], [3, 4]], b=True");
});

// breaks when copied lines are no Python: null, true or a list as JavaScript writes it
test("values are written as Python has them", () => {
  const state: Record<string, unknown> = {
    ...{ a: null, b: true, c: [3, 7], d: ["random"], e: [] },
    f: { occlusion: { fill: "blur", cells: 3 } },
  };
  const template = "a={a}, b={b}, c={c}, d={d}, e={e}, f={f}";
  expect(fillCode(template, (name) => state[name])).toBe(
    'a=None, b=True, c=[3, 7], d=["random"], e=[], f={"occlusion": {"fill": "blur", "cells": 3}}',
  );
});
