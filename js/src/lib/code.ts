// The lines of Python that make this view again: a template with the selection filled in.

/** Replaces each `{name}` by the value of that trait. */
export function fillCode(template: string, value: (name: string) => unknown): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => String(value(name)));
}
