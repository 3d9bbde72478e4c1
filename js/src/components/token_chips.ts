// The tokens that are not on the picture, beside it; and the patch that is.
import { capital, tokenLabel, tokenName } from "../lib/format";
import { placeOf, type Tokens } from "../lib/geometry";
import { togglePin } from "../lib/selection";
import { MOST_PINS } from "../lib/state";
import { attribute, el, listen, setText } from "./dom";
import type { View } from "./view";

type ChipTraits = { query: number; pins: number[] };

const TOGETHER = 3; // more registers than this take short names

/** `tokens` are those of the picture, or null where none can be chosen; `paintOn` when they change. */
export function drawTokenChips<S extends ChipTraits>(
  element: HTMLElement,
  view: View<S>,
  tokens: () => Tokens | null,
  paintOn: (draw: () => void) => void,
): void {
  const { signal } = view;
  const store = view.store as unknown as View<ChipTraits>["store"];
  const prefix = el("span", "vw-chip-group");
  const patch = el("button", "vw-chip", { type: "button" });
  const pin = el("button", "vw-chip vw-chip-pin", { type: "button" });
  element.classList.add("vw-chips");
  attribute(element, { role: "group", "aria-label": "query token" });
  element.append(el("span", "vw-muted", {}, "tokens"), prefix, patch, pin);
  let names = "";
  /** The patch to come back to from a prefix token. */
  let lastPatch: number | null = null;

  listen(patch, "click", () => lastPatch !== null && store.set("query", lastPatch), signal);
  listen(
    pin,
    "click",
    () => store.set("pins", togglePin(store.get("pins"), store.get("query"))),
    signal,
  );
  listen(
    prefix,
    "click",
    (event) => {
      const chip = event.target instanceof Element ? event.target.closest("[data-token]") : null;
      if (chip) store.set("query", Number(chip.getAttribute("data-token")));
    },
    signal,
  );

  function draw(): void {
    const now = tokens();
    element.hidden = now === null;
    if (!now) return;
    const { reference } = now;
    const query = store.get("query");
    if (names !== reference.names.join("\n")) {
      names = reference.names.join("\n");
      const short = reference.names.length > TOGETHER;
      prefix.replaceChildren(
        ...reference.names.map((name, token) =>
          el(
            "button",
            "vw-chip",
            { type: "button", "data-token": token, title: `${name} token, token ${token}` },
            short ? name.replace(/^register[ _]?/, "reg ") : name,
          ),
        ),
      );
    }
    [...prefix.children].forEach((chip, token) => {
      attribute(chip, {
        "aria-pressed": String(token === query),
        "aria-label": `${reference.names[token]} token`,
      });
    });
    const onPatch = placeOf(query, reference) !== null;
    if (onPatch) lastPatch = query;
    if (lastPatch !== null && !placeOf(lastPatch, reference)) lastPatch = null;
    patch.hidden = lastPatch === null;
    if (lastPatch !== null) setText(patch, tokenLabel(lastPatch, now));
    attribute(patch, { "aria-pressed": String(onPatch) });
    const pins = store.get("pins");
    const pinned = pins.includes(query);
    const full = !pinned && pins.length >= MOST_PINS;
    setText(pin, pinned ? "unpin" : full ? `${MOST_PINS} pins` : "+ pin");
    pin.disabled = full;
    attribute(pin, { "aria-label": `${pinned ? "unpin" : "pin"} ${tokenName(query, now)}` });
    attribute(patch, { "aria-label": capital(patch.textContent ?? "") });
  }
  paintOn(draw);
  view.paintOn(["pins", "query"], draw);
}
