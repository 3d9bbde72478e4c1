// Numbers and tokens in words: never more digits than mean something.
import { placeIn, type Tokens } from "./geometry";

const NONE = "–";

/** An exact weight, 0 to 1; or a value of either sign. */
export function weight(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  if (value === 0) return "0";
  if (value < 0) return `−${weight(-value)}`;
  return value >= 0.001 ? value.toFixed(4) : power(value, 1);
}

/** A weight that went through 8 bits: two digits are all it has. */
export function roughWeight(value: number): string {
  if (Number.isNaN(value)) return NONE;
  if (value === 0) return "≈ 0";
  if (value < 0) return roughWeight(-value).replace("≈ ", "≈ −");
  return `≈ ${value >= 0.001 ? Number(value.toPrecision(2)).toString() : power(value, 0)}`;
}

/** A short weight, for labels and colour bars. */
export function shortWeight(value: number): string {
  if (Number.isNaN(value)) return NONE;
  if (value === 0) return "0";
  if (value < 0) return `−${shortWeight(-value)}`;
  if (value >= 0.9995) return value.toFixed(2);
  return value >= 0.001 ? value.toFixed(3) : power(value, 0);
}

function power(value: number, digits: number): string {
  const [mantissa, exponent] = value.toExponential(digits).split("e");
  const raised = [...exponent.replace("+", "")]
    .map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(c)]))
    .join("");
  return `${mantissa} × 10${raised}`;
}

export function nats(value: number, digits = 2): string {
  return Number.isNaN(value) ? NONE : `${value.toFixed(digits)} nats`;
}

export function pixels(value: number): string {
  return Number.isNaN(value) ? NONE : `${Math.round(value)} px`;
}

export function probability(value: number): string {
  if (value > 0 && value < 0.005) return "< 0.01";
  return value.toFixed(2);
}

/** Two probabilities, with as many digits as tell them apart, up to four. */
export function change(before: number, after: number): string {
  const both = (digits: number) => [before, after].map((value) => value.toFixed(digits));
  const digits = [2, 3, 4].find((n) => both(n)[0] !== both(n)[1]) ?? 2;
  return both(digits).join(" → ");
}

export function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}

/** Any number of a sparkline. */
export function plain(value: number): string {
  if (Number.isNaN(value)) return NONE;
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 0.01 && size < 100_000 ? Number(value.toPrecision(3)).toString() : power(value, 1);
}

/** "patch (5, 4)" of the layer, "class token", or the bare index where neither is known. */
export function tokenName(token: number, tokens: Tokens | null): string {
  if (tokens) {
    const { prefix, names } = tokens.reference;
    if (token < prefix && token >= 0) return `${names[token]} token`;
    const place = placeIn(token, tokens);
    if (place) return `patch (${place.row}, ${place.col})`;
  }
  return `token ${token}`;
}

/** The short form on chips: "patch 5, 4", "class". */
export function tokenLabel(token: number, tokens: Tokens | null): string {
  return tokenName(token, tokens)
    .replace(/ token$/, "")
    .replace(/[()]/g, "");
}

/** One of an axis: "key" of "keys", "query" of "queries". */
export function oneOf(plural: string): string {
  return plural.replace(/ies$/, "y").replace(/s$/, "");
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** "1, 3 and 5" */
export function listing(items: readonly (number | string)[]): string {
  if (items.length < 2) return items.join("");
  return `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

/** An activation: two digits after the point, or the first two that there are. */
export function activation(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  if (value === 0) return "0";
  if (value < 0) return `−${activation(-value)}`;
  if (value >= 1000) return grouped(value);
  if (value >= 0.1) return value.toFixed(2);
  return value >= 0.001 ? Number(value.toPrecision(2)).toString() : power(value, 1);
}

/** A count with a narrow space between thousands. */
export function grouped(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}
