// Runs the bundles as a notebook does: a model with traits, a view, and a stand-in for Python.

/** What anywidget hands to a widget; everything that is saved is written down. */
class FakeModel {
  constructor(state) {
    this.state = state;
    this.dirty = new Set();
    this.saved = []; // one entry per message to Python
    this.handlers = new Map();
    this.echo = false; // ipywidgets 8 sends every change back
    this.python = null; // called with each saved message
  }
  get(key) {
    return this.state[key];
  }
  set(key, value) {
    if (JSON.stringify(this.state[key]) === JSON.stringify(value)) return;
    this.state[key] = value;
    this.dirty.add(key);
    this.fire(key);
  }
  save_changes() {
    if (this.dirty.size === 0) return;
    const changes = Object.fromEntries([...this.dirty].map((key) => [key, this.state[key]]));
    this.dirty.clear();
    this.saved.push(changes);
    if (this.echo) for (const key of Object.keys(changes)) this.fire(key);
    if (this.python) setTimeout(() => this.python?.(changes), 0);
  }
  on(event, handler) {
    if (!this.handlers.has(event)) this.handlers.set(event, new Set());
    this.handlers.get(event).add(handler);
  }
  off(event, handler) {
    this.handlers.get(event)?.delete(handler);
  }
  send() {
    throw new Error("widgets ask through traits, not through messages");
  }
  fire(key) {
    for (const handler of [...(this.handlers.get(`change:${key}`) ?? [])]) handler();
  }
  /** Python sets traits: all values first, as one message does, then the events. */
  receive(changes) {
    Object.assign(this.state, changes);
    for (const key of Object.keys(changes)) this.fire(key);
  }
  get listening() {
    return [...this.handlers.values()].reduce((sum, handlers) => sum + handlers.size, 0);
  }
}

const WRAP = {
  // an odd offset into a larger buffer, as a message with several buffers may have it
  DataView: (bytes) => new DataView(shifted(bytes), 3, bytes.length),
  Uint8Array: (bytes) => new Uint8Array(shifted(bytes), 3, bytes.length),
  ArrayBuffer: (bytes) => bytes.slice().buffer,
};

function shifted(bytes) {
  const larger = new Uint8Array(bytes.length + 8).fill(77);
  larger.set(bytes, 3);
  return larger.buffer;
}

/** Puts buffers where the JSON has {"$buffer": [start, end]}. */
function revive(value, bytes, wrap) {
  if (Array.isArray(value)) return value.map((item) => revive(item, bytes, wrap));
  if (value === null || typeof value !== "object") return value;
  if ("$buffer" in value) return wrap(bytes.subarray(...value.$buffer));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, revive(item, bytes, wrap)]),
  );
}

const models = [];
const views = [];

async function load(fixture, flavour = "DataView") {
  const json = await (await fetch(`/fixture/${fixture}.json`)).json();
  const bytes = new Uint8Array(await (await fetch(`/fixture/${fixture}.bin`)).arrayBuffer());
  return revive(json, bytes, WRAP[flavour]);
}

window.host = {
  models,
  views,
  /** A model with a view; returns the number of both. */
  async mount(widget, fixture, { flavour, model = null, shadow = false, width = null } = {}) {
    const at = model ?? models.push(new FakeModel(await load(fixture, flavour))) - 1;
    const module = await import(`/vit_widgets/static/${widget}.js`);
    const place = document.createElement("div");
    place.id = `view-${views.length}`;
    if (width) place.style.width = `${width}px`;
    document.body.append(place);
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = "/vit_widgets/static/style.css";
    const root = shadow ? place.attachShadow({ mode: "open" }) : document.head;
    root.append(style);
    await new Promise((loaded) => style.addEventListener("load", loaded));
    const el = document.createElement("div");
    (shadow ? root : place).append(el);
    await module.default.initialize?.({ model: models[at] });
    const dispose = await module.default.render({ model: models[at], el });
    views.push({ place, dispose });
    return { model: at, view: views.length - 1 };
  },
  async receive(model, fixture) {
    models[model].receive(await load(fixture));
  },
};
