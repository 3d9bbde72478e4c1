// The chosen head in numbers.
import { gradient } from "../lib/colormap";
import { listing, nats, pixels, shortWeight, weight } from "../lib/format";
import { placeOf } from "../lib/geometry";
import { meanHeat } from "../lib/heat";
import { statistic } from "../lib/packet";
import { cellValue } from "../lib/readout";
import type { PatchOverlayState } from "../lib/state";
import { attribute, el, setText } from "./dom";
import { type AttentionView, queryOf } from "./view";

const NAMED = 2; // more prefix tokens than this: registers are added up

export function drawHeadReadout(
  element: HTMLElement,
  view: AttentionView<PatchOverlayState>,
): void {
  const { store, attention } = view;
  const title = el("span", "vw-title vw-ellipsis");
  const subtitle = el("span", "vw-muted vw-nowrap");
  const rows = el("dl", "vw-facts");
  const bar = colourBar();
  element.classList.add("vw-section", "vw-head-readout");
  element.append(el("div", "vw-bar", {}, title, subtitle), bar.element, rows);

  function draw(): void {
    const shown = attention.shown();
    element.hidden = !shown?.layer;
    if (!shown?.layer) return;
    const { layer, picture, heads, layerIndex } = shown;
    const several = heads.length > 1;
    setText(title, several ? `Heads ${listing(heads)}` : `Head ${heads[0]}`);
    setText(subtitle, several ? `mean, layer ${layerIndex}` : `layer ${layerIndex}`);
    bar.draw(store.get("colormap"), meanHeat(layer, picture.row, heads).maximum);
    const facts: [name: string, value: string][] = [
      ["entropy", nats(statistic(layer, "entropy", picture.row, heads))],
    ];
    if (layer.kind === "image") {
      const query = queryOf(picture) ?? -1;
      const by = picture.packet.direction === "attended by" ? "by" : "on";
      facts.push(["distance", pixels(statistic(layer, "distance", picture.row, heads))]);
      const own = placeOf(query, layer);
      if (own)
        facts.push([`${by} itself`, cellValue(attention, shown, own.row * layer.cols + own.col)]);
      const named =
        layer.names.length > NAMED ? layer.names.filter((n) => !/^reg/.test(n)) : layer.names;
      let rest = 0;
      layer.names.forEach((name, token) => {
        const value = attention.exactPrefix(shown, token);
        if (!named.includes(name)) rest += value;
        else facts.push([`${by} ${token === query ? "itself" : name}`, weight(value)]);
      });
      const others = layer.names.length - named.length;
      if (others) facts.push([`${by} ${others} registers`, weight(rest)]);
    }
    rows.replaceChildren(
      ...facts.map(([name, value]) =>
        el("div", "vw-row", {}, el("dt", "vw-muted", {}, name), el("dd", "vw-number", {}, value)),
      ),
    );
  }
  view.paintRow(draw);
  view.paintOn(["colormap"], draw);
}

/** What the colours stand for: 0, the largest weight, and how the space between is drawn. */
export function colourBar(): {
  element: HTMLElement;
  draw(colormap: string, maximum: number): void;
} {
  const bar = el("div", "vw-colour-bar");
  const most = el("span", "vw-number");
  const ends = el(
    "div",
    "vw-row vw-small",
    {},
    el("span", "vw-number", {}, "0"),
    el(
      "span",
      "vw-muted",
      { title: "colours follow the square root; numbers never do" },
      "weight, √ scale",
    ),
    most,
  );
  return {
    element: el("div", "vw-colours", {}, bar, ends),
    draw(colormap, maximum) {
      bar.style.background = gradient(colormap);
      setText(most, shortWeight(maximum));
      attribute(bar, { role: "img", "aria-label": `colours from 0 to ${shortWeight(maximum)}` });
    },
  };
}
