// What a component reads and writes; where the values live is not its business.

export interface Store<S> {
  get<K extends keyof S>(key: K): S[K];
  /** Writes and saves; does nothing for keys that already hold the value. */
  set<K extends keyof S>(key: K, value: S[K]): void;
  /** Writes several and saves once. */
  update(values: Partial<S>): void;
  /** Calls back after the value has changed, whoever changed it, until the signal ends. */
  on(key: keyof S, changed: () => void, signal: AbortSignal): void;
}

/** Equal in value, for what selection traits hold: numbers, strings, short lists. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
  return a.every((item, i) => Object.is(item, b[i]));
}

/** A store of its own: for pages without a kernel, and for tests. */
export function memoryStore<S extends object>(initial: S): Store<S> {
  const values = { ...initial };
  const listeners = new Map<keyof S, Set<() => void>>();
  function update(changes: Partial<S>): void {
    const keys = (Object.keys(changes) as (keyof S)[]).filter(
      (key) => !same(values[key], changes[key]),
    );
    Object.assign(values, changes);
    for (const key of keys) for (const changed of [...(listeners.get(key) ?? [])]) changed();
  }
  return {
    get: (key) => values[key],
    set: (key, value) => update({ [key]: value } as unknown as Partial<S>),
    update,
    on(key, changed, signal) {
      if (signal.aborted) return;
      const all = listeners.get(key) ?? new Set();
      listeners.set(key, all.add(changed));
      signal.addEventListener("abort", () => all.delete(changed));
    },
  };
}

/** A value shared by the parts of one view that Python never hears of. */
export interface Local<T> {
  get(): T;
  set(value: T): void;
  on(changed: () => void): void;
}

export function local<T>(value: T): Local<T> {
  const listeners = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const changed of [...listeners]) changed();
    },
    on: (changed) => listeners.add(changed),
  };
}
