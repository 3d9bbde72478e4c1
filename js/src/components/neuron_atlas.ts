// Every neuron of a layer as a small picture; only the rows on screen exist, and only those that
// are looked at are asked for.
import { grouped } from "../lib/format";
import { chooseNeuron, neuronCount, SELECTION, selectionOf } from "../lib/neuron";
import { type Cell, cellCache, inView, wanted } from "../lib/neuron_atlas";
import type { NeuronPageState } from "../lib/state";
import { attribute, el, listen, onResize, setText } from "./dom";
import { rgbCanvas } from "./pixels";
import type { View } from "./view";

const CELL = 72; // pixels, with its gap
const LINE = 16; // of the number below

interface Item {
  element: HTMLElement;
  frame: HTMLElement;
  number: HTMLElement;
  neuron: number;
  cell: Cell | undefined;
}

export function drawNeuronAtlas(element: HTMLElement, view: View<NeuronPageState>): void {
  const { store, signal } = view;
  const cells = cellCache();
  const title = el("span", "vw-title");
  const note = el("span", "vw-muted vw-ellipsis");
  const scroller = el("div", "vw-atlas-scroller", {
    tabindex: 0,
    role: "listbox",
    "aria-label": "neurons of the layer",
  });
  const sheet = el("div", "vw-atlas-sheet", { role: "presentation" });
  const id = `vw-atlas-${Math.random().toString(36).slice(2)}`;
  scroller.append(sheet);
  element.classList.add("vw-atlas");
  element.append(el("div", "vw-bar", {}, title, note), scroller);
  let items: Item[] = [];
  let layer = -1;
  let came: object | null = null;
  let revealed = -1;

  const columns = () => Math.max(1, Math.floor(size.width / CELL));
  const row = CELL + LINE;

  function make(): Item {
    const frame = el("span", "vw-atlas-frame");
    const number = el("span", "vw-atlas-number");
    const item = el("div", "vw-atlas-cell", { role: "option" }, frame, number);
    return { element: item, frame, number, neuron: -1, cell: undefined };
  }

  /** Scrolls the box, never the notebook. */
  function reveal(neuron: number): void {
    const top = Math.floor(neuron / columns()) * row;
    const { scrollTop, clientHeight } = scroller;
    if (top >= scrollTop && top + row <= scrollTop + clientHeight) return;
    scroller.scrollTop = Math.max(0, top - row); // the row before it as well
  }

  function draw(): void {
    element.hidden = !store.get("atlas_open");
    if (element.hidden || size.width === 0) return;
    const packet = store.get("atlas");
    if ("images" in packet && packet !== came) {
      came = packet;
      setText(note, packet.note);
      cells.add(packet as Parameters<typeof cells.add>[0]);
    }
    const selection = selectionOf(store);
    const count = neuronCount(store);
    const across = columns();
    setText(title, `All ${grouped(count)} neurons of layer ${Math.max(0, selection.layer)}`);
    sheet.style.height = `${Math.ceil(count / across) * row}px`;
    if (layer !== selection.layer || revealed !== selection.neuron) {
      if (layer !== selection.layer) scroller.scrollTop = 0;
      layer = selection.layer;
      revealed = selection.neuron;
      reveal(revealed);
    }
    const scroll = { top: scroller.scrollTop, height: scroller.clientHeight };
    const range = inView(scroll, { columns: across, row }, count);
    while (items.length < range.last - range.first) items.push(make());
    const used = items.slice(0, range.last - range.first);
    items = used;
    used.forEach((item, i) => {
      const neuron = range.first + i;
      const cell = cells.get(layer, neuron);
      if (item.neuron !== neuron || item.cell !== cell) {
        item.neuron = neuron;
        item.cell = cell;
        item.frame.replaceChildren(
          cell ? rgbCanvas(cell.rgb, cell.width, cell.height) : grouped(neuron),
        );
        setText(item.number, grouped(neuron));
      }
      const [down, right] = [Math.floor(neuron / across), neuron % across];
      item.element.style.transform = `translate(${right * CELL}px, ${down * row}px)`;
      attribute(item.element, {
        id: `${id}-${neuron}`,
        "data-neuron": neuron,
        "data-empty": cell === undefined,
        "aria-selected": String(neuron === selection.neuron),
        "aria-setsize": count,
        "aria-posinset": neuron + 1,
        "aria-label": `neuron ${grouped(neuron)}${cell?.caption ? `, ${cell.caption}` : ""}`,
        title: cell?.caption || null,
      });
    });
    const order = used.map((item) => item.element);
    if (order.length !== sheet.children.length || order.some((one, i) => sheet.children[i] !== one))
      sheet.replaceChildren(...order);
    attribute(scroller, { "aria-activedescendant": `${id}-${selection.neuron}` });
    const lacking = layer >= 0 ? wanted(cells, layer, range) : null;
    if (lacking) ask(lacking);
  }

  function ask(range: { layer: number; first: number; count: number }): void {
    const last = store.get("atlas_wanted");
    const known =
      "first" in last &&
      last.layer === range.layer &&
      last.first === range.first &&
      last.count === range.count;
    if (!known) store.set("atlas_wanted", range);
  }

  listen(scroller, "scroll", () => view.paint(draw), signal);
  listen(
    sheet,
    "click",
    (event) => {
      const cell = event.target instanceof Element ? event.target.closest("[data-neuron]") : null;
      if (!cell) return;
      revealed = Number(cell.getAttribute("data-neuron"));
      chooseNeuron(store, revealed);
    },
    signal,
  );
  listen(
    scroller,
    "keydown",
    (event) => {
      const page = Math.max(1, Math.floor(scroller.clientHeight / row)) * columns();
      const by = {
        ArrowUp: -columns(),
        ArrowDown: columns(),
        PageUp: -page,
        PageDown: page,
        Home: Number.NEGATIVE_INFINITY,
        End: Number.POSITIVE_INFINITY,
      }[event.key];
      if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      const last = neuronCount(store) - 1;
      const next = Math.max(0, Math.min(last, selectionOf(store).neuron + by));
      chooseNeuron(store, next);
    },
    signal,
  );
  view.paintOn([...SELECTION, "atlas_open", "atlas"], draw);
  const size = onResize(scroller, () => view.paint(draw), signal);
}
