// The lines of Python that make this view again: a template with the selection filled in.

/** A value as Python writes it; text comes without its quotes. */
function python(value: unknown): string {
  return typeof value === "boolean" ? (value ? "True" : "False") : String(value);
}

/** Replaces each `{name}` by the value of that trait. */
export function fillCode(template: string, value: (name: string) => unknown): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => python(value(name)));
}
