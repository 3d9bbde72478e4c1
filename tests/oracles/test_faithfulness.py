"""Measures of faithfulness beside grad-cam's ROAD, captum's sensitivity, and literal loops."""

import captum.metrics
import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer

import vit_widgets as vw
from tests.probes.attribution.tiny_vit import GRID, SIZE, pictures, tiny_vit
from vit_widgets.models import Grid
from vit_widgets.probes import PatchMap, faithfulness, max_sensitivity
from vit_widgets.probes.faithfulness.road import imputed
from vit_widgets.probes.faithfulness.stability import DRAWS, RADIUS

PATCH = 8


def map_of(seed: int = 0) -> np.ndarray:
    """Distinct numbers for 4 x 6 patches."""
    return np.random.default_rng(seed).permutation(24).reshape(GRID).astype(float)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_imputed_pixels_are_those_of_grad_cam(share):
    """The package grad-cam is the oracle; breaks with other weights, or another border."""
    rng = np.random.default_rng(0)
    pixels, gone = rng.random((3, 17, 23)), rng.random((17, 23)) < share
    known = torch.from_numpy((~gone).astype(np.float32))
    theirs = NoisyLinearImputer(noise=0.0)(torch.from_numpy(pixels).float(), known).numpy()
    np.testing.assert_allclose(imputed(pixels, gone), theirs, atol=1e-5)
    assert np.abs(theirs - pixels).max() > 0.1


def test_the_largest_change_is_captums():
    """The package captum is the oracle; breaks with another norm, or another picture's map."""
    model, image = vw.load(tiny_vit()), pictures()

    def explain(inputs: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():  # captum turns it off
            inputs = inputs.detach().requires_grad_()
            score = model.module(inputs)[:, 2].sum()
            return torch.autograd.grad(score, inputs)[0].sum(dim=1)

    ours = max_sensitivity(model, image, lambda _m, x, _t: explain(x)[0], 2, seed=5)
    noise = torch.Generator().manual_seed(5)

    def moved(inputs: torch.Tensor) -> torch.Tensor:
        drawn = [RADIUS * (2 * torch.rand(inputs.shape[1:], generator=noise) - 1) for _ in inputs]
        return inputs + torch.stack(drawn).to(inputs)

    theirs = captum.metrics.sensitivity_max(
        lambda inputs: (explain(inputs[0]),) if isinstance(inputs, tuple) else explain(inputs),
        image,
        perturb_func=moved,
        n_perturb_samples=DRAWS,
    )
    assert float(theirs) > 1e-3
    assert ours.maximum == pytest.approx(float(theirs), rel=1e-6)


@pytest.mark.parametrize("baseline", ["mean", "zero"])
def test_curves_are_those_of_a_literal_loop(baseline):
    """Breaks when patches, order, baseline, class or step differ from the plain definition."""
    module, image, values = tiny_vit(), pictures(), map_of()
    fill = image.mean(dim=(2, 3), keepdim=True) if baseline == "mean" else torch.zeros(1, 3, 1, 1)
    with torch.no_grad():
        target = int(module(image).argmax())
        order = sorted(range(24), key=lambda at: -values.ravel()[at])
        expected: dict[str, list[float]] = {"deletion": [], "insertion": [], "lerf": []}
        for step in range(7):
            count = 4 * step
            for name, replaced in (
                ("deletion", order[:count]),
                ("insertion", order[count:]),
                ("lerf", order[24 - count :]),
            ):
                changed = image.clone()
                for at in replaced:
                    row, col = divmod(at, GRID[1])
                    where = np.s_[
                        :, :, row * PATCH : (row + 1) * PATCH, col * PATCH : (col + 1) * PATCH
                    ]
                    changed[where] = fill.expand_as(changed)[where]
                expected[name].append(float(module(changed).softmax(1)[0, target]))
    grid = Grid(*GRID, (PATCH, PATCH))
    found = faithfulness(
        vw.load(module), image, PatchMap(values, grid, SIZE), steps=6, baseline=baseline,
        batch_size=4,
    )  # fmt: skip
    for name, scores in expected.items():
        np.testing.assert_allclose(found.curves[name].scores, scores, atol=1e-12)
        assert np.ptp(scores) > 1e-3
    middle = (np.array(expected["lerf"]) - np.array(expected["deletion"]))[1:-1]
    assert found.scores["abpc"] == pytest.approx(middle.sum() / 6, abs=1e-12)


def test_sensitivity_n_is_that_of_a_literal_loop():
    """Breaks when a subset's sum meets another subset's drop."""
    module, image, values = tiny_vit(), pictures(), map_of()
    found = faithfulness(
        vw.load(module), image, values, 3, ["sensitivity_n"], baseline="zero", seed=9
    )
    rng = np.random.default_rng(9)
    correlations = []
    for size in found.params["sizes"]:
        sums, drops = [], []
        for _ in range(found.params["subsets"]):
            subset = rng.choice(24, size, replace=False)
            changed = image.clone()
            for at in subset:
                row, col = divmod(int(at), GRID[1])
                changed[:, :, row * PATCH : (row + 1) * PATCH, col * PATCH : (col + 1) * PATCH] = 0
            with torch.no_grad():
                drops.append(float(module(image)[0, 3] - module(changed)[0, 3]))
            sums.append(sum(values.ravel()[at] for at in subset))
        correlations.append(np.corrcoef(sums, drops)[0, 1])
    np.testing.assert_allclose(found.curves["sensitivity_n"].scores, correlations, atol=1e-9)
