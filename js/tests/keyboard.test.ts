import { expect, test } from "vitest";
import { placeIn, tokenUnder } from "../src/lib/geometry";
import { command, moveHead, moveQuery } from "../src/lib/keyboard";
import { axis, tokens } from "./make";

const grid = tokens([3, 4], ["class", "register 0"]);

test("arrows mean the query on the picture, head and layer elsewhere, nothing in controls", () => {
  expect(command({ key: "ArrowLeft" }, "picture")).toEqual({ kind: "query", key: "ArrowLeft" });
  expect(command({ key: "ArrowLeft" }, "elsewhere")).toEqual({ kind: "head", by: -1 });
  expect(command({ key: "ArrowDown" }, "elsewhere")).toEqual({ kind: "layer", by: 1 });
  expect(command({ key: "ArrowLeft" }, "control")).toBeNull();
  expect(command({ key: " " }, "control")).toBeNull(); // a button is pressed with it
  expect(command({ key: " " }, "picture")).toEqual({ kind: "pin" });
});

test("the notebook keeps every key that is not ours", () => {
  for (const key of ["a", "Enter", "Tab", "x"]) expect(command({ key }, "elsewhere")).toBeNull();
  expect(command({ key: "ArrowLeft", ctrlKey: true }, "elsewhere")).toBeNull();
  expect(command({ key: "[", metaKey: true }, "picture")).toBeNull();
});

test("the query stays in the grid, and goes to the prefix tokens above it", () => {
  const at = (row: number, col: number) => 2 + row * 4 + col;
  expect(moveQuery(at(1, 2), "ArrowRight", grid)).toBe(at(1, 3));
  expect(moveQuery(at(1, 3), "ArrowRight", grid)).toBe(at(1, 3)); // no wrap into the next row
  expect(moveQuery(at(1, 0), "ArrowLeft", grid)).toBe(at(1, 0));
  expect(moveQuery(at(2, 1), "ArrowDown", grid)).toBe(at(2, 1));
  expect(moveQuery(at(0, 1), "ArrowUp", grid)).toBe(0);
  expect(moveQuery(0, "ArrowRight", grid)).toBe(1);
  expect(moveQuery(1, "ArrowRight", grid)).toBe(1);
  expect(moveQuery(1, "ArrowDown", grid)).toBe(at(0, 0));
  expect(moveQuery(0, "ArrowUp", grid)).toBe(0);
});

test("without prefix tokens the first row is the top", () => {
  expect(moveQuery(1, "ArrowUp", tokens([3, 4]))).toBe(1);
});

test("arrows move by one patch of the layer, whatever the selection counts", () => {
  for (const [fine, coarse] of [
    [56, 7],
    [20, 14],
    [21, 14],
  ]) {
    const own = { reference: axis([fine, fine], ["class"]), asked: axis([coarse, coarse]) };
    let token = tokenUnder({ row: 3, col: 0 }, own) as number;
    for (let col = 0; col < coarse; col++) {
      expect(placeIn(token, own)).toEqual({ row: 3, col });
      token = moveQuery(token, "ArrowRight", own);
    }
    expect(placeIn(token, own)).toEqual({ row: 3, col: coarse - 1 }); // the border
    expect(moveQuery(token, "ArrowRight", own)).toBe(token);
    for (let row = 3; row > 0; row--) token = moveQuery(token, "ArrowUp", own);
    expect(moveQuery(token, "ArrowUp", own)).toBe(0); // the class token
  }
});

test("where the selection is coarser than the layer, an arrow still moves it", () => {
  const own = { reference: axis([2, 2]), asked: axis([8, 8]) };
  expect(moveQuery(0, "ArrowRight", own)).toBe(1);
  expect(moveQuery(1, "ArrowRight", own)).toBe(1);
  expect(moveQuery(1, "ArrowDown", own)).toBe(3);
});

test("from a place that the layer does not have, an arrow goes to its first patch", () => {
  const own = { reference: axis([4, 4]), asked: axis([2, 2], [], [0.25, 0.25, 0.75, 0.75]) };
  expect(moveQuery(15, "ArrowRight", own)).toBe(5);
});

test("heads move in the order on screen", () => {
  expect(moveHead(0, 1, [2, 0, 1])).toBe(1);
  expect(moveHead(2, -1, [2, 0, 1])).toBe(2);
  expect(moveHead(7, 1, [2, 0, 1])).toBe(2); // a head that is not there
});
