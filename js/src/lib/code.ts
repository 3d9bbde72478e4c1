// The lines of Python that make this view again: a template with the selection filled in.

/** A value as Python writes it; text that stands alone comes without its quotes. */
function python(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(inside).join(", ")}]`;
  if (typeof value !== "object") return String(value);
  const pairs = Object.entries(value as object).map(
    ([key, one]) => `${inside(key)}: ${inside(one)}`,
  );
  return `{${pairs.join(", ")}}`;
}
function inside(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : python(value);
}

/** Replaces each `{name}` by the value of that trait. */
export function fillCode(template: string, value: (name: string) => unknown): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => python(value(name)));
}
