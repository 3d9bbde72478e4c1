import { expect, test } from "vitest";
import { command, moveHead, moveQuery } from "../src/lib/keyboard";

const grid = { rows: 3, cols: 4, prefix: 2 };

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
  expect(moveQuery(1, "ArrowUp", { ...grid, prefix: 0 })).toBe(1);
});

test("heads move in the order on screen", () => {
  expect(moveHead(0, 1, [2, 0, 1])).toBe(1);
  expect(moveHead(2, -1, [2, 0, 1])).toBe(2);
  expect(moveHead(7, 1, [2, 0, 1])).toBe(2); // a head that is not there
});
