"""The traits of a neuron page of the demo model: its real activations on real scenes."""

import functools
from typing import Any

import numpy as np

import vit_widgets as vw
from vit_widgets.widgets.wire import unpack

SCENES = 72
SHOWN = 8
SIDE = 144  # pixels of a scene


@functools.cache
def scanned() -> tuple[list[np.ndarray], np.ndarray, list[str]]:
    """Activations of each layer (image, patch, neuron), scenes (image, h, w, 3), their labels."""
    scenes = vw.demo.scenes(SCENES, seed=3)
    model = vw.load("demo")
    images = [scene.image for scene in scenes]
    cache = vw.capture(model, images, keep=("neurons",))
    layers = [np.asarray(neurons[:, 1:], dtype=np.float32) for neurons in cache.neurons]
    classes = [vw.demo.CLASSES[scene.label] for scene in scenes]
    return layers, np.stack(images), classes


@functools.cache
def prefix_values() -> list[np.ndarray]:
    """Activations at the class token of each layer (image, neuron)."""
    _, images, _ = scanned()
    cache = vw.capture(vw.load("demo"), list(images), keep=("neurons",))
    return [np.asarray(neurons[:, 0], dtype=np.float32) for neurons in cache.neurons]


def answers(layer: int, neuron: int, image: int = 0, query: int = 1, target: int = 0) -> dict:
    """Answer everything that the page asks about one selection."""
    layers, images, classes = scanned()
    values = layers[layer]
    scores = values.mean(axis=1)  # (image, neuron)
    own = scores[:, neuron]
    order = np.argsort(-own, kind="stable")
    top = order[:SHOWN]
    side = round(values.shape[1] ** 0.5)
    counts, edges = np.histogram(own, bins=24)
    top_classes = [classes[i] for i in order[:24]]
    tally = sorted({(-top_classes.count(name), name) for name in top_classes})
    share = np.array([-count for count, _ in tally]) / 24
    r = np.corrcoef(scores.T)[neuron]
    alike = [i for i in np.argsort(-np.nan_to_num(r)) if i != neuron][:5]
    at = layers[layer][image, query - 1] if query else prefix_values()[layer][image]
    names = list(vw.demo.labels())
    of_class = np.array([name == names[target] for name in classes])
    lead = scores[of_class].mean(axis=0) - scores[~of_class].mean(axis=0)
    selective = lead / (scores.std(axis=0) + 1e-6)
    which = {"layer": layer, "neuron": neuron}
    return {
        "neuron_map": {
            **which, "image_index": image, "values": values[image, :, neuron].reshape(side, side),
            "prefix": {"class": float(prefix_values()[layer][image, neuron])},
        },
        "top_images": {
            **which, "images": images[top], "maps": values[top, :, neuron].reshape(-1, side, side),
            "scores": own[top], "names": [f"scene {i}" for i in top],
            "labels": [classes[i] for i in top],
        },
        "distribution": {
            **which, "edges": edges, "counts": counts, "sampled": SCENES, "total": SCENES,
            "shown": own[top], "caption": "mean activation over patches",
        },
        "class_counts": {
            **which, "k": 24, "entropy": float(-(share * np.log(share)).sum()),
            "classes": [{"label": name, "count": -count} for count, name in tally],
        },
        "effects": effects(layer, neuron, image),
        "alike": {**which, "neurons": [{"neuron": i, "r": r[i]} for i in alike]},
        "patch_neurons": {
            "layer": layer, "query": query, "image_index": image,
            "neurons": [{"neuron": i, "value": at[i]} for i in np.argsort(-at)[:5]],
        },
        "class_neurons": {
            "layer": layer, "target": target, "label": names[target],
            "neurons": [{"neuron": i, "value": selective[i]} for i in np.argsort(-selective)[:5]],
            "measure": "difference of means in standard deviations",
        },
    }  # fmt: skip


def effects(layer: int, neuron: int, image: int) -> dict[str, Any]:
    """What the model says without the neuron, and with twice as much of it."""
    model = vw.load("demo")
    picture = scanned()[1][image]
    names = list(vw.demo.labels())
    before = model.predict([picture])[0]
    rows = []
    for what, factor in (("silenced", 0.0), ("doubled", 2.0)):
        with vw.edit(model, neurons={(layer, neuron): factor}):
            after = model.predict([picture])[0]
        rows.append({
            "what": what, "top_before": names[before.argmax()], "top_after": names[after.argmax()],
            "classes": [
                {"label": names[i], "before": before[i], "after": after[i]}
                for i in np.argsort(-before)[:2]
            ],
        })  # fmt: skip
    return {"layer": layer, "neuron": neuron, "image_index": image, "rows": rows}


def cells(layer: int, first: int, count: int) -> dict[str, Any]:
    """Draw the atlas: of each neuron the part of its best scene where it fires most."""
    layers, images, _ = scanned()
    values = layers[layer][:, :, first : first + count]
    side = round(values.shape[1] ** 0.5)
    best = values.mean(axis=1).argmax(axis=0)
    pictures, captions = [], []
    for i, image in enumerate(best):
        row, col = divmod(int(values[image, :, i].argmax()), side)
        patch = SIDE // side
        y, x = (min(max(0, (at - 2) * patch), SIDE - 48) for at in (row, col))
        pictures.append(images[image, y : y + 48, x : x + 48])
        captions.append(f"{values[image, :, i].max():.2f} at patch ({row}, {col})")
    return {"layer": layer, "first": first, "images": np.stack(pictures), "captions": captions}


def page(widget: type = vw.NeuronPage, **more: Any) -> dict[str, Any]:
    """Make the traits of a page as they travel; `more` are traits or the selection."""
    layers, images, classes = scanned()
    chosen = {"layer": 3, "neuron": 5, "image_index": 0, "query": 1 + 5 * 12 + 6, "target": 2}
    chosen |= {name: more.pop(name) for name in list(more) if name in chosen}
    image = chosen["image_index"]
    made = widget(
        neuron_counts=[values.shape[2] for values in layers],
        neuron_labels=[f"blocks.{i}.mlp" for i in range(len(layers))],
        title="demo",
        subtitle=f"{len(layers)} layers · {layers[0].shape[2]} neurons each · 12 × 12 patches",
        index_caption=f"{SCENES} images scanned, 21 Nov 2026, mean over patches",
        image=images[image],
        image_name=classes[image],
        image_names=classes[:6],
        thumbnails=images[:6, ::2, ::2],
        class_names=list(vw.demo.labels()),
        bookmarks=[[5, 3], [3, 5]],
        **chosen,
    )
    given = (
        answers(chosen["layer"], chosen["neuron"], image, chosen["query"], chosen["target"]) | more
    )
    for name, value in given.items():
        setattr(made, name, value)
    state = made.get_state()
    made.close()
    return {name: value for name, value in state.items() if not name.startswith("_")} | {
        "layout": None
    }


def top_range(state: dict[str, Any]) -> tuple[float, float]:
    """Give the smallest and largest value of all maps of the top images."""
    maps = unpack(state["top_images"]["maps"])
    return float(maps.min()), float(maps.max())
