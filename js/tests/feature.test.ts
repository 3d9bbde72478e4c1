import { describe, expect, test } from "vitest";
import {
  controls,
  curvePoints,
  type FeatureProgress,
  FIRST_SETTINGS,
  isStale,
  MORE_SETTINGS,
  nameOf,
  parseNumbers,
  progressWords,
  type SettingKind,
  selected,
  settingWords,
  spread,
  stepsOf,
  timeLeft,
} from "../src/lib/feature";

const kind = (key: string): SettingKind => {
  const found = [...FIRST_SETTINGS, ...MORE_SETTINGS].find((one) => one.key === key);
  if (!found) throw new Error(key);
  return found;
};

describe("whose picture it is", () => {
  const of = { layer: 3, neuron: 5, space: "ffn_act" };

  // breaks when another neuron's picture is taken for that of the selected one, or the reverse
  test("another layer, neuron or space is not the selected one", () => {
    expect(isStale(of, selected(3, 5, { space: "ffn_act" }))).toBe(false);
    expect(isStale(of, selected(3, 5, {}))).toBe(false);
    expect(isStale(of, selected(3, 6, {}))).toBe(true);
    expect(isStale(of, selected(2, 5, {}))).toBe(true);
    expect(isStale(of, selected(3, 5, { space: "q" }))).toBe(true);
    expect(isStale({}, selected(3, 5, {}))).toBe(false);
    expect(isStale({ neuron: 5 }, selected(9, 5, {}))).toBe(false);
  });

  // breaks when the layer slider makes a class's or a module's picture a stale one
  test("classes and modules do not depend on the layer", () => {
    const logit = { layer: null, neuron: 7, space: "logit" };
    expect(isStale(logit, selected(4, 7, { space: "logit" }))).toBe(false);
    const conv = { layer: "layer3.conv2", neuron: 7, space: "output" };
    const settings = { space: "output", module: "layer3.conv2" };
    expect(isStale(conv, selected(4, 7, settings))).toBe(false);
    expect(isStale(conv, selected(4, 7, { ...settings, module: "layer1" }))).toBe(true);
  });

  // breaks when a class or a direction is called a neuron
  test("it is named by what it is", () => {
    expect(nameOf(of)).toBe("layer 3 · neuron 5");
    expect(nameOf({ layer: null, neuron: 7, space: "logit" })).toBe("class 7");
    expect(nameOf({ layer: "layer3.conv2", neuron: 7, space: "output" })).toBe(
      "layer3.conv2 · channel 7",
    );
    expect(nameOf({ layer: 1, neuron: 2, space: "q" })).toBe("layer 1 · queries, feature 2");
    expect(nameOf({ ...of, unit: "direction" })).toBe("layer 3 · direction 5");
    expect(nameOf({})).toBe("");
  });
});

describe("what can be asked", () => {
  const at = (run: number): FeatureProgress => ({ run, step: 3, steps: 64 });

  // breaks when a button asks for the wrong thing, or a run is begun twice by pressing it again
  test.each([
    ["empty", {}, {}, false, "Start", { run: 1, do: "run" }, null, false],
    ["running", { run: 1, do: "run" }, at(1), false, "Pause", { run: 1, do: "pause" }, 1, false],
    ["paused", { run: 1, do: "pause" }, at(1), false, "Resume", { run: 1, do: "run" }, 1, false],
    [
      "done",
      { run: 1, do: "run" },
      at(1),
      false,
      "Start again",
      { run: 2, do: "run" },
      null,
      false,
    ],
    [
      "stopped",
      { run: 1, do: "stop" },
      at(1),
      false,
      "Start again",
      { run: 2, do: "run" },
      null,
      false,
    ],
    [
      "failed",
      { run: 1, do: "run" },
      at(1),
      false,
      "Start again",
      { run: 2, do: "run" },
      null,
      false,
    ],
    // another neuron is selected meanwhile: it can be started, and the old one stopped
    ["running", { run: 1, do: "run" }, at(1), true, "Start", { run: 2, do: "run" }, 1, false],
    ["done", { run: 1, do: "run" }, at(1), true, "Start", { run: 2, do: "run" }, null, false],
    // Python has not answered yet
    ["empty", { run: 1, do: "run" }, {}, false, "Pause", { run: 1, do: "pause" }, 1, true],
    ["done", { run: 2, do: "run" }, at(1), false, "Pause", { run: 2, do: "pause" }, 2, true],
    ["running", { run: 1, do: "pause" }, at(1), false, "Resume", { run: 1, do: "run" }, 1, true],
    ["paused", { run: 1, do: "run" }, at(1), false, "Pause", { run: 1, do: "pause" }, 1, true],
    [
      "running",
      { run: 1, do: "stop" },
      at(1),
      false,
      "Start again",
      { run: 2, do: "run" },
      null,
      true,
    ],
    // taken back before it began
    [
      "done",
      { run: 2, do: "stop" },
      at(1),
      false,
      "Start again",
      { run: 3, do: "run" },
      null,
      false,
    ],
    // somebody drives it without saying what is wanted
    ["running", {}, at(4), false, "Pause", { run: 4, do: "pause" }, 4, false],
  ] as const)("%s, %o of %o", (state, wanted, progress, stale, text, first, stop, waiting) => {
    expect(controls(state, wanted, progress, stale)).toEqual({
      text,
      first,
      stop: stop === null ? null : { run: stop, do: "stop" },
      waiting,
    });
  });
});

describe("in words", () => {
  // breaks when a stopped run reads like a finished one, or the time is of the wrong unit
  test("how far it is", () => {
    const progress = { run: 1, step: 248, steps: 400, seconds_left: 19.2 };
    expect(progressWords("running", progress)).toBe("248 / 400 · 19 s left");
    expect(progressWords("running", { ...progress, seconds_left: null })).toBe("248 / 400");
    expect(progressWords("paused", progress)).toBe("248 / 400 · paused");
    expect(progressWords("stopped", progress)).toBe("stopped at step 248 of 400");
    expect(progressWords("done", { ...progress, step: 400 })).toBe("400 steps");
    expect(progressWords("running", {})).toBe("");
    expect([0.2, 89, 90, 3599, 3600, 4000].map(timeLeft)).toEqual([
      "1 s left",
      "89 s left",
      "2 min left",
      "1 h left",
      "1 h left",
      "1 h 7 min left",
    ]);
  });

  // breaks when a setting shows a code name, or "true"
  test("settings", () => {
    expect(settingWords(true)).toBe("on");
    expect(settingWords("ffn_act")).toBe("MLP, after activation");
    expect(settingWords([0, 1, 2])).toBe("0, 1, 2");
    expect(settingWords([])).toBe("");
  });
});

describe("what is typed", () => {
  // breaks when nonsense reaches Python, or several seeds are read as one
  test.each([
    ["seed", "3", { value: 3 }],
    ["seed", "0, 1 2", { value: [0, 1, 2] }],
    ["seed", "1.5", { wrong: expect.stringContaining("seed takes a whole number from 0 up") }],
    ["seed", "-1", { wrong: expect.stringContaining("several with commas") }],
    ["seed", "", { wrong: expect.anything() }],
    ["total_variation", "5e-4", { value: 0.0005 }],
    ["total_variation", "much", { wrong: expect.stringContaining("λ takes a number from 0 up") }],
    ["steps", "64", { value: 64 }],
    ["steps", "64, 128", { wrong: "steps takes a whole number from 1 up" }],
    ["beside", "", { value: [] }],
    ["beside", "7", { value: [7] }],
  ])("%s: %s", (key, text, expected) => {
    expect(parseNumbers(text, kind(key))).toEqual(expected);
  });
});

describe("curves", () => {
  // breaks when the last point of a thinned curve is drawn beside its step
  test("the points of a thinned curve know their steps", () => {
    expect(stepsOf(4, 3, 8)).toEqual([0, 3, 6, 8]);
    expect(stepsOf(1, 1, 0)).toEqual([0]);
  });

  // breaks when a flat curve divides by zero, or a missing number moves the others
  test("every curve fills its own height", () => {
    const of = (values: number[]) =>
      curvePoints((i) => values[i], stepsOf(values.length, 1, values.length - 1), 4);
    expect(of([2, 4, 3])).toEqual([
      { x: 0, y: 1 },
      { x: 0.25, y: 0 },
      { x: 0.5, y: 0.5 },
    ]);
    expect(of([7, 7]).map((point) => point.y)).toEqual([0.5, 0.5]);
    expect(of([1, Number.NaN, 2])).toEqual([
      { x: 0, y: 1 },
      { x: 0.5, y: 0 },
    ]);
    expect(of([])).toEqual([]);
  });

  // breaks when labels lie over each other or leave the plot
  test("labels keep apart and inside", () => {
    expect(spread([10, 11, 60], 16, 60)).toEqual([10, 26, 60]);
    expect(spread([60, 60, 60], 16, 60)).toEqual([28, 44, 60]);
    expect(spread([-8, -8, 30], 16, 60)).toEqual([0, 16, 32]);
  });
});
