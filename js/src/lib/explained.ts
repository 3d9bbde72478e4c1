// What is explained: chosen once, and the same for every page that asks what the model says
// (Python's half: widgets/explained.py).

/** null for the predicted class, a class, a kind with its numbers, or the name of a function. */
export type Explained = number | string | null | [kind: string, ...numbers: (number | null)[]];

export type ExplainedTraits = { explained: Explained; explained_classes: string[] };

export const explainedTraits: ExplainedTraits = { explained: null, explained_classes: [] };

export type Kind = "predicted" | "class" | "margin" | "probability" | "embedding" | "function";

export const KINDS: readonly { value: Exclude<Kind, "function">; text: string; title: string }[] = [
  {
    value: "predicted",
    text: "predicted class",
    title: "the score of the class that is predicted",
  },
  { value: "class", text: "a class", title: "the score of one class" },
  { value: "margin", text: "a margin", title: "the score of one class less that of another" },
  { value: "probability", text: "a probability", title: "the probability of one class" },
  {
    value: "embedding",
    text: "likeness to an image",
    title: "the cosine to the vector of another image",
  },
];

export function kindOf(explained: Explained): Kind {
  if (explained === null) return "predicted";
  if (typeof explained === "number") return "class";
  return typeof explained === "string" ? "function" : (explained[0] as Kind);
}

/** Its classes or its image; null is the predicted class. */
export function numbersOf(explained: Explained): (number | null)[] {
  if (explained === null || typeof explained === "string") return [];
  return typeof explained === "number" ? [explained] : (explained.slice(1) as (number | null)[]);
}

/** Another kind, with as much as it can take over of what was chosen; `image` to be like. */
export function withKind(explained: Explained, kind: Kind, image: number): Explained {
  if (kind === kindOf(explained)) return explained;
  const classes = kindOf(explained) === "embedding" ? [] : numbersOf(explained);
  const [first = null, other = null] = classes;
  if (kind === "class") return first ?? 0;
  if (kind === "margin") return ["margin", first, other ?? (first === 0 ? 1 : 0)];
  if (kind === "probability") return ["probability", first];
  return kind === "embedding" ? ["embedding", image] : null;
}

/** One of its numbers changed. */
export function withNumber(explained: Explained, at: number, number: number | null): Explained {
  const kind = kindOf(explained);
  if (kind === "class") return number;
  const numbers = numbersOf(explained).map((one, i) => (i === at ? number : one));
  return [kind, ...numbers];
}

/** Whether an answer is of what is chosen; one that names nothing is anybody's. */
export function isOf(said: Explained | undefined, explained: Explained): boolean {
  return JSON.stringify(said ?? null) === JSON.stringify(explained);
}
