// The chosen head in numbers.
import { colormapFor, gradient } from "../lib/colormap";
import { listing, nats, pixels, shortWeight, weight } from "../lib/format";
import { sameAxis } from "../lib/geometry";
import { meanHeat } from "../lib/heat";
import { hasRow, type Layer, statistic } from "../lib/packet";
import { cellValue, ownCell } from "../lib/readout";
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
    bar.element.hidden = !hasRow(layer, picture.row);
    bar.draw(layer, store.get("colormap"), meanHeat(layer, picture.row, heads).maximum);
    const size = layer.signed ? " of |value|" : "";
    const facts: [name: string, value: string][] = [
      [`entropy${size}`, nats(statistic(layer, "entropy", picture.row, heads))],
    ];
    if (layer.kind === "image") {
      const query = queryOf(picture) ?? -1;
      const by = picture.packet.direction === "attended by" ? "by" : "on";
      facts.push([`distance${size}`, pixels(statistic(layer, "distance", picture.row, heads))]);
      const own = ownCell(shown, layer);
      if (own !== null) facts.push([`${by} itself`, cellValue(attention, shown, own)]);
      const itself =
        layer.only || !sameAxis(layer, layer.asked) ? "" : layer.reference.names[query];
      const named =
        layer.names.length > NAMED ? layer.names.filter((n) => !/^reg/.test(n)) : layer.names;
      let rest = 0;
      layer.names.forEach((name, token) => {
        const value = attention.exactPrefix(shown, token);
        if (!named.includes(name)) rest += value;
        else facts.push([`${by} ${name === itself ? "itself" : name}`, weight(value)]);
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
  draw(values: Pick<Layer, "signed">, colormap: string, maximum: number): void;
} {
  const bar = el("div", "vw-colour-bar");
  const least = el("span", "vw-number");
  const most = el("span", "vw-number");
  const middle = el("span", "vw-muted", {
    title: "colours follow the square root; numbers never do",
  });
  const ends = el("div", "vw-row vw-small", {}, least, middle, most);
  return {
    element: el("div", "vw-colours", {}, bar, ends),
    draw(values, colormap, maximum) {
      const [from, to] = [values.signed ? -maximum : 0, maximum].map(shortWeight);
      bar.style.background = gradient(colormapFor(values, colormap));
      setText(least, from);
      setText(middle, values.signed ? "0, √ scale" : "weight, √ scale");
      setText(most, to);
      attribute(bar, { role: "img", "aria-label": `colours from ${from} to ${to}` });
    },
  };
}
