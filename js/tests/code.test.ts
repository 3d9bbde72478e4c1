import { expect, test } from "vitest";
import { fillCode } from "../src/lib/code";

// breaks when the copied lines would open another layer, or a brace of the user's code is lost
test("the selection is filled in by name", () => {
  const state: Record<string, unknown> = { layer: 3, direction: "attended by" };
  const template = 'vw.inspect("demo", layer={layer}, direction="{direction}", a={})';
  expect(fillCode(template, (name) => state[name])).toBe(
    'vw.inspect("demo", layer=3, direction="attended by", a={})',
  );
});
