// Which versions of the image there are: whose curve is drawn, and which one is painted.
import { type AlteredVersion, type ClusterCurves, VERSION, VERSIONS } from "../lib/clusters";
import type { TokenClustersState } from "../lib/state";
import { line } from "./clusters_curves";
import { attribute, el, listen, setNote, setText } from "./dom";
import { slider } from "./overlay_controls";
import type { View } from "./view";

/** What it returns draws it again. */
export function drawClusterVersions(
  element: HTMLElement,
  view: View<TokenClustersState>,
  curves: () => ClusterCurves | null,
): () => void {
  const { store, signal } = view;
  const [list, settings] = [el("div"), el("div")];
  element.classList.add("vw-cluster-versions");
  element.append(list, settings);
  const rows = VERSIONS.map((version) => {
    const { text } = VERSION[version];
    const box = el("input", "", { type: "checkbox", "aria-label": `curve of ${text}` });
    const paint = el("button", "vw-chip", { type: "button" }, "paint");
    attribute(paint, { "aria-label": `paint ${text}` });
    const note = el("p", "vw-note", { role: "status" });
    box.disabled = version === "original"; // it is what the others are compared with
    listen(paint, "click", () => store.set("clusters_version", version), signal);
    listen(box, "change", () => compare(version as AlteredVersion, box.checked), signal);
    list.append(
      el(
        "div",
        "vw-control vw-cluster-version",
        {},
        el("label", "vw-cluster-choice", {}, box, line(version), text),
        paint,
      ),
      note,
    );
    return { version, box, paint, note };
  });
  const again = el("button", "vw-chip", { type: "button" });
  listen(again, "click", () => store.set("clusters_seed", store.get("clusters_seed") + 1), signal);
  const forwards = el("p", "vw-note");
  settings.append(
    slider(view, "clusters_cells", { min: 2, max: 16, step: 1, label: "cells each way" }, String),
    slider(view, "clusters_dropped", { min: 0.05, max: 1, label: "share dropped" }, (share) =>
      share.toFixed(2),
    ),
    el("div", "vw-control", {}, el("span", "vw-muted", {}, "at random"), again),
    forwards,
  );

  function compare(version: AlteredVersion, wanted: boolean): void {
    const others = store.get("clusters_compared").filter((one) => one !== version);
    store.set("clusters_compared", wanted ? [...others, version] : others);
  }

  return function draw(): void {
    const answer = curves();
    for (const { version, box, paint, note } of rows) {
      box.checked =
        version === "original" || store.get("clusters_compared").includes(version as never);
      attribute(paint, { "aria-pressed": String(version === store.get("clusters_version")) });
      setNote(note, answer?.notes[version] ?? "");
    }
    setText(again, `seed ${store.get("clusters_seed")}: again`);
    attribute(again, { "aria-label": `draw again, seed ${store.get("clusters_seed")} now` });
    const count = answer?.forwards ?? 0;
    setText(forwards, `Forwards of altered images so far: ${count}, one for each.`);
    forwards.hidden = count === 0;
  };
}
