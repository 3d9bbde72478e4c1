"""The bilateral solver beside its definition: pixels by pixels, dense, solved as one system."""

import numpy as np
import pytest
from PIL import Image

from vit_widgets.probes.bilateral import bilateral


def densely(target, picture, widths, smoothness, confidence, rounds=10):
    """The solver with every matrix written out, splat and slice included."""
    colours = np.asarray(Image.fromarray(picture).convert("YCbCr")).astype(float)
    height, width = target.shape
    keys = [
        (
            int(y // widths[0]),
            int(x // widths[1]),
            *(int(colours[y, x, at] // widths[2 + at]) for at in range(3)),
        )
        for y in range(height)
        for x in range(width)
    ]
    vertices = list(dict.fromkeys(keys))  # in the order of the pixels
    splat = np.array([[key == vertex for key in keys] for vertex in vertices], float)
    blur = np.zeros((len(vertices), len(vertices)))
    for i, a in enumerate(vertices):
        for j, b in enumerate(vertices):
            apart = np.abs(np.subtract(a, b))
            blur[i, j] = 10 if apart.sum() == 0 else float(apart.sum() == 1)
    held = splat.sum(axis=1)
    scale = np.ones(len(vertices))
    for _ in range(rounds):
        scale = np.sqrt(scale * held / (blur @ scale))
    around = np.diag(scale) @ blur @ np.diag(scale)
    system = smoothness * (np.diag(around.sum(axis=1)) - around) + confidence * splat @ splat.T
    answer = np.linalg.solve(system, splat @ (confidence * target.ravel()))
    return (splat.T @ answer).reshape(target.shape)


@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_the_dense_solution(seed):
    """Breaks when a neighbour is missed or wrapped around, or a weight of the system is another."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(small).resize((18, 13), Image.Resampling.BILINEAR))
    target = rng.random((13, 18)) > 0.5
    for widths in ((4, 4, 40, 30, 30), (16, 16, 16, 8, 8)):
        ours = bilateral(
            target, picture, spatial=widths[0], luma=widths[2], chroma=widths[3], smoothness=20
        )
        wanted = densely(target, picture, widths, 20, 0.999)
        np.testing.assert_allclose(ours, wanted, atol=1e-9)
        assert np.ptp(wanted) > 0.05
