// How the next picture is made: every setting states its value, and when it will hold.
import {
  FIRST_SETTINGS,
  MORE_SETTINGS,
  parseNumbers,
  type Setting,
  type SettingKind,
  sameSetting,
  settingWords,
} from "../lib/feature";
import type { FeatureCanvasState } from "../lib/state";
import { attribute, el, listen, setText } from "./dom";
import type { View } from "./view";

/** Holds at once, also for the run that is going. */
const AT_ONCE = "total_variation";

export function drawFeatureSettings(element: HTMLElement, view: View<FeatureCanvasState>): void {
  const { store } = view;
  const wrong = el("p", "vw-note vw-feature-wrong", { role: "alert" });
  const summary = el("summary", "vw-feature-summary");
  const more = el("details", "vw-feature-more", {}, summary);
  element.classList.add("vw-controls", "vw-feature-settings");
  element.append(...FIRST_SETTINGS.map(row), more, wrong);
  more.append(el("div", "vw-controls", {}, ...MORE_SETTINGS.map(row)));
  wrong.hidden = true;

  function change(kind: SettingKind, value: Setting): void {
    wrong.hidden = true;
    const settings = store.get("feature_settings");
    if (sameSetting(settings[kind.key], value)) return;
    store.set("feature_settings", { ...settings, [kind.key]: value });
  }

  function refuse(text: string): void {
    setText(wrong, `${text}.`);
    wrong.hidden = false;
  }

  function row(kind: SettingKind): HTMLElement {
    const later = el("span", "vw-feature-later", { hidden: true }, "from the next start");
    const control = kind.kind === "choice" ? choice(kind) : typed(kind);
    const unit = kind.unit ? [el("span", "vw-muted", {}, kind.unit)] : [];
    const label = el("span", "vw-muted", {}, kind.label);
    const value = el("span", "vw-feature-value", {}, later, control.element, ...unit);
    const line = el("label", "vw-control", { "data-setting": kind.key }, label, value);
    view.paintOn(["feature_settings", "feature_choices", "feature_state", "feature_for"], () => {
      const settings = store.get("feature_settings");
      const now = settings[kind.key];
      line.hidden =
        now === undefined || (kind.space !== undefined && kind.space !== settings.space);
      if (now === undefined) return;
      control.show(now);
      const state = store.get("feature_state");
      const used = store.get("feature_for").settings?.[kind.key];
      const going = state === "running" || state === "paused";
      later.hidden = !going || kind.key === AT_ONCE || used === undefined || sameSetting(used, now);
    });
    return line;
  }

  function choice(kind: SettingKind): { element: HTMLElement; show(now: Setting): void } {
    const select = el("select", "vw-menu");
    const choices = () => store.get("feature_choices")[kind.key] ?? [];
    listen(
      select,
      "change",
      () => change(kind, choices()[select.selectedIndex] ?? select.value),
      view.signal,
    );
    function show(now: Setting): void {
      const offered = choices();
      const all = offered.some((one) => sameSetting(one, now)) ? offered : [...offered, now];
      const words = all.map(settingWords);
      if (words.join() !== [...select.options].map((option) => option.text).join()) {
        select.replaceChildren(...words.map((text) => el("option", "", {}, text)));
      }
      select.selectedIndex = all.findIndex((one) => sameSetting(one, now));
      select.disabled = all.length < 2;
    }
    return { element: select, show };
  }

  function typed(kind: SettingKind): { element: HTMLElement; show(now: Setting): void } {
    const text = kind.kind === "text";
    const input = el("input", "vw-field", {
      type: "text",
      inputmode: text ? null : "decimal",
      size: text ? 16 : 8,
      placeholder: text ? "layer3.1.conv2" : kind.kind === "list" ? "none" : null,
      spellcheck: "false",
    });
    let shown: Setting = null;
    listen(
      input,
      "change",
      () => {
        const typed = text ? { value: input.value.trim() } : parseNumbers(input.value, kind);
        if ("value" in typed) return change(kind, typed.value);
        refuse(typed.wrong);
        input.value = settingWords(shown);
      },
      view.signal,
    );
    function show(now: Setting): void {
      shown = now;
      const typing = input.matches(":focus");
      if (!typing || input.dataset.shown !== settingWords(now)) input.value = settingWords(now);
      input.dataset.shown = settingWords(now);
    }
    return { element: input, show };
  }

  view.paintOn(["feature_settings"], () => {
    const settings = store.get("feature_settings");
    const { steps, copies, jitter, color_shift: shift } = settings;
    const words = [
      steps !== undefined && `${settingWords(steps)} steps`,
      copies !== undefined && `${settingWords(copies)} copies`,
      jitter !== undefined && `jitter ${settingWords(jitter)} px`,
      shift !== undefined && `colour shift ${settingWords(shift)}`,
    ].filter(Boolean);
    setText(summary, words.join(" · "));
    more.hidden = words.length === 0;
    element.hidden = Object.keys(settings).length === 0;
    attribute(more, { "aria-label": "more settings" });
  });
}
