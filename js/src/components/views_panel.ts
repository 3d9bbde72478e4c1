// The views of one filter: itself, on the patch that is asked about, on the whole image, and what
// of that the token has at the layer in view.
import { tokenName } from "../lib/format";
import { placeOf } from "../lib/geometry";
import type { TokenViewsState } from "../lib/state";
import { tokensOf } from "../lib/token_layer";
import type { Views } from "../lib/views_data";
import { type Field, kernel, patchOf, scaleOf } from "../lib/views_field";
import { attribute, el, setText } from "./dom";
import type { View } from "./view";
import { fieldCanvas } from "./views_canvas";

interface Figure {
  element: HTMLElement;
  /** Draws; null: there is nothing, and `about` says why. */
  show(field: Field | null, weights: ArrayLike<number> | null, title: string, about: string): void;
  /** What was drawn stays, dimmed, until its successor comes. */
  wait(): void;
  canvas: HTMLCanvasElement;
}

export interface ViewsPanel {
  draw(): void;
  /** The large view, for a PNG. */
  canvas: HTMLCanvasElement;
}

export function drawViewsPanel(
  element: HTMLElement,
  view: View<TokenViewsState>,
  views: Views,
): ViewsPanel {
  const { store } = view;
  const shared = () => {
    const whole = views.field(store.get("views_filter"));
    return whole && store.get("views_scale") === "shared" ? scaleOf(whole, null) : null;
  };
  function figure(className: string): Figure {
    const { element: canvas, paint } = fieldCanvas("vw-view-canvas");
    const name = el("b");
    const note = el("span", "vw-muted vw-ellipsis");
    const frame = el("div", "vw-view-frame", {}, canvas);
    const box = el("figure", `vw-view ${className}`, {}, frame);
    box.append(el("figcaption", "vw-view-caption", {}, name, " ", note));
    return {
      element: box,
      canvas,
      show(field, weights, title, about) {
        setText(name, title);
        setText(note, about);
        attribute(box, { "data-stale": null, title: `${title} ${about}` });
        canvas.hidden = field === null;
        if (!field) return;
        // the filter is no view: it has a scale of its own
        const common = className.includes("kernel") ? null : shared();
        paint(field, weights, common ?? scaleOf(field, weights));
      },
      wait: () => attribute(box, { "data-stale": true }),
    };
  }
  const [filter, local] = [figure("vw-view-kernel vw-view-small"), figure("vw-view-small")];
  const [whole, deep] = [figure("vw-view-large"), figure("vw-view-large")];
  element.classList.add("vw-views");
  element.append(
    el("div", "vw-views-small", {}, filter.element, local.element),
    whole.element,
    deep.element,
  );

  return {
    canvas: deep.canvas,
    draw() {
      const index = store.get("views_filter");
      const own = views.filter(index);
      const field = views.field(index);
      const tokens = tokensOf(store);
      filter.show(
        own && kernel(own, store.get("views_display")),
        null,
        `Filter ${index}`,
        own ? sizeOf(own) : "",
      );
      if (!field) {
        for (const each of [local, whole, deep]) each.wait();
        return;
      }
      const name = tokenName(store.get("query"), tokens);
      const place = tokens && placeOf(store.get("query"), tokens.reference);
      const same = tokens?.reference.rows === field.rows && tokens.reference.cols === field.cols;
      local.show(
        place && same ? patchOf(field, place.row, place.col) : null,
        null,
        "Local view",
        place ? `patch ${place.row}, ${place.col}` : "no patch",
      );
      whole.show(field, null, "Level 0", "every patch × filter");
      const level = store.get("layer") + 1;
      const weights = views.weights(store.get("query"), level, index);
      const title = `Level ${level}`;
      if (weights) deep.show(field, weights.values, title, `${name}, after layer ${level - 1}`);
      else if (views.refused()) deep.show(null, null, title, "not for this model");
      else if (views.ended(level)) deep.show(null, null, title, "not for this layer");
      else deep.wait();
    },
  };
}

function sizeOf({ channels, rows, cols }: { channels: number; rows: number; cols: number }) {
  return `${channels} × ${rows} × ${cols}`;
}
