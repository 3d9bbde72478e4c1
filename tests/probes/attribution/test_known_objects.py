"""On scenes whose object is known: which maps find it, and which do better than its edges."""

import functools

import numpy as np
import pytest
from scipy import ndimage

import vit_widgets as vw
from vit_widgets import probes
from vit_widgets.probes.ranks import auc

SCENES = 10
PATCH = 12

# What 12 of these scenes gave, as the chance that a patch of the object ranks above one of the
# background, mean ± standard error: saliency 0.989 ± 0.004, transformer_attribution 0.987 ± 0.004,
# relevance 0.977 ± 0.008, rollout 0.963 ± 0.022, edges 0.84 ± 0.06, lrp 0.79 ± 0.04, integrated
# gradients 0.70 ± 0.03, attention_cam 0.66 ± 0.03, hires_cam 0.64 ± 0.08, grad_cam 0.54 ± 0.10,
# random 0.49 ± 0.01, input_x_gradient 0.40 ± 0.04. So nothing is claimed for the last ones.
BEYOND_EDGES = {
    "saliency": probes.saliency,
    "transformer_attribution": probes.transformer_attribution,
    "relevance": probes.relevance,
    "rollout": lambda model, image, target: probes.rollout(vw.capture(model, image)),
}
BEYOND_CHANCE = {
    "lrp": probes.lrp,
    "integrated_gradients": functools.partial(
        probes.integrated_gradients, steps=8, baseline="blur"
    ),
}


def chance(values: np.ndarray, mask: np.ndarray) -> float:
    """How likely a patch of the object ranks above one of the background."""
    shares = patches(mask.astype(float))
    sure = (shares > 0.5) | (shares < 0.02)
    ranked = values if values.shape == shares.shape else patches(values)
    return float(auc(ranked[sure][None].astype(float), (shares[sure] > 0.5)[None])[0, 0])


def patches(pixels: np.ndarray) -> np.ndarray:
    """Average pixels over each patch."""
    rows, cols = (side // PATCH for side in pixels.shape)
    return pixels.reshape(rows, PATCH, cols, PATCH).mean(axis=(1, 3))


def edges(image: np.ndarray) -> np.ndarray:
    """How steep the picture is: a map that knows no model."""
    grey = image.mean(axis=2)
    return np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1))


@pytest.fixture(scope="module")
def found() -> dict[str, float]:
    """Measure each map, and two that know no model, over the scenes."""
    model, rng = vw.load("demo"), np.random.default_rng(0)
    chances: dict[str, list[float]] = {}
    for scene in vw.demo.scenes(SCENES, seed=601):
        mask = np.asarray(scene.mask) > 0
        maps = {
            name: method(model, scene.image, scene.label).values
            for name, method in (BEYOND_EDGES | BEYOND_CHANCE).items()
        }
        maps |= {"edges": edges(scene.image), "random": rng.random((12, 12))}
        for name, values in maps.items():
            chances.setdefault(name, []).append(chance(values, mask))
    return {name: float(np.mean(each)) for name, each in chances.items()}


@pytest.mark.parametrize("name", BEYOND_EDGES)
def test_the_object_is_found_better_than_by_its_edges(found: dict[str, float], name: str):
    """Breaks when a map is transposed, reversed, of another class, or no better than a filter."""
    assert found[name] > 0.9
    assert found[name] > found["edges"] + 0.05


@pytest.mark.parametrize("name", BEYOND_CHANCE)
def test_the_object_is_found_better_than_by_chance(found: dict[str, float], name: str):
    """Breaks when a map is shifted or has its sign turned; a random map is the measure."""
    assert 0.4 < found["random"] < 0.6
    assert found[name] > found["random"] + 0.1
