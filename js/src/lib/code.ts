// The lines of Python that make this view again: a template with the selection filled in.

/** A value as Python writes it; text that stands alone comes without its quotes. */
function python(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (!Array.isArray(value)) return String(value);
  const items = value.map((one) => (typeof one === "string" ? JSON.stringify(one) : python(one)));
  return `[${items.join(", ")}]`;
}

/** Replaces each `{name}` by the value of that trait. */
export function fillCode(template: string, value: (name: string) => unknown): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => python(value(name)));
}
