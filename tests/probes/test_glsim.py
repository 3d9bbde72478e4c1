"""GLSim: the model's own norm, the cosine of torch, and boxes counted by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache


def changed(change, **model: object) -> vw.ActivationCache:
    """A capture of float64 whose last tokens (image, token, feature) were changed."""
    cache = tiny_cache(torch.float64, **model)
    tokens = [one.clone() for one in cache.tokens]
    change(tokens[-1])
    return replace(cache, _tokens=tuple(tokens))


def without_norm(change) -> vw.ActivationCache:
    """The same of a model that ends in its last block."""
    cache = changed(change)
    module = cache.model.module
    module.norm = nn.Identity()
    return cache


def test_cosines_are_those_of_the_normed_tokens():
    """Breaks when the norm is left out, another image is read, or the class token is moved."""
    cache = tiny_cache(torch.float64)
    norm = cache.model.module.norm
    nn.init.uniform_(norm.weight, 0.1, 3)
    nn.init.normal_(norm.bias)
    with torch.no_grad():
        tokens = norm(cache.tokens[-1][1])
    expected = functional.cosine_similarity(tokens[1:], tokens[:1], dim=1).reshape(4, 6).numpy()
    found = vw.probes.glsim(cache, image=1)
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    assert found.norm == "norm"
    assert found.notes == ()
    assert (np.abs(found.values) <= 1).all()
    earlier = vw.probes.glsim(cache, 0, image=1)
    assert earlier.notes == ("norm was trained on the last block; here it is applied to layer 0",)


def test_a_patch_that_is_the_class_token_is_the_best():
    """Breaks when the worst are taken, or rows and columns change places."""

    def repeat(tokens):
        tokens[0, 1 + 2 * 6 + 5] = tokens[0, 0]

    found = vw.probes.glsim(changed(repeat), top=3)
    assert found.patches[0].tolist() == [2, 5]
    assert found.values[2, 5] == pytest.approx(1, abs=1e-12)
    assert found.values[2, 5] == found.values.max()
    best = [found.values[tuple(at)] for at in found.patches]
    assert best == sorted(found.values.ravel())[:-4:-1]


def test_the_size_of_tokens_does_not_matter():
    """Breaks when products are compared. Without a norm, which would level sizes itself."""

    def scale(tokens):
        tokens *= torch.linspace(0.2, 7, 25, dtype=torch.float64)[:, None]

    before = vw.probes.glsim(without_norm(lambda tokens: None))
    after = vw.probes.glsim(without_norm(scale))
    np.testing.assert_allclose(after.values, before.values, atol=1e-12)
    assert before.norm == ""
    assert "no norm was found" in before.notes[0]


def lit(*cells: tuple[int, int]) -> vw.ActivationCache:
    """Patches at right angles to the class token, but for some."""

    def light(tokens):
        tokens[0] = 0
        tokens[0, :, 1] = 1
        tokens[0, 0] = torch.eye(16, dtype=torch.float64)[0]
        for number, (row, col) in enumerate(cells):
            tokens[0, 1 + row * 6 + col, 0] = 9 - number

    return without_norm(light)


def test_the_box_holds_the_last_patch_and_officially_does_not():
    """Breaks when the end of the box is not where the last patch ends, or x and y change places."""
    cache = lit((1, 2), (3, 4), (1, 4))
    found = vw.probes.glsim(cache, top=3)
    assert found.patches.tolist() == [[1, 2], [3, 4], [1, 4]]
    assert found.box == (16, 8, 40, 32)
    assert vw.probes.glsim(cache, top=3, official=True).box == (16, 8, 32, 24)
    assert vw.probes.glsim(cache, top=1, official=True).box == (16, 8, 24, 16)
    assert vw.probes.glsim(cache, top=1).box == (16, 8, 24, 16)


def test_the_crop_is_the_box_at_full_size():
    """Breaks when other pixels are cut out, or the picture keeps the size of the box."""
    found = vw.probes.glsim(lit((1, 2), (3, 4)), top=2)
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[8:32, 16:40] = 200
    crop = found.crop(picture)
    assert crop.shape == picture.shape
    assert (crop == 200).all()
    picture[7], picture[:, 40] = 90, 90  # just outside
    assert (found.crop(picture) == 200).all()
    picture[8, 16] = 0
    assert (found.crop(picture)[0, 0] < 100).all()
    with pytest.raises(ValueError, match=r"give uint8 \(32, 48, 3\)"):
        found.crop(picture[:-1])
    with pytest.raises(ValueError, match="float64"):
        found.crop(picture / 255)


def test_patches_without_a_direction_are_not_chosen():
    """Breaks when a patch of zeros is like the class token, or divides by zero."""

    def empty(tokens):
        tokens[0, 1:21] = 0

    cache = without_norm(empty)
    found = vw.probes.glsim(cache, top=4)
    assert np.isnan(found.values.ravel()[:20]).all()
    assert sorted(found.patches.tolist()) == [[3, 2], [3, 3], [3, 4], [3, 5]]
    with pytest.raises(ValueError, match="only 4 patches"):
        vw.probes.glsim(cache, top=5)


def test_what_cannot_be_answered_is_said():
    """Breaks when a model without a class token is answered by its first patch."""
    cache = tiny_cache()
    for wrong in (0, 25):
        with pytest.raises(ValueError, match=f"top={wrong} is out of range"):
            vw.probes.glsim(cache, top=wrong)
    with pytest.raises(IndexError, match="layer 2"):
        vw.probes.glsim(cache, 2)
    bare = tiny_cache(class_token=False, global_pool="avg")
    with pytest.raises(ValueError, match="no class token"):
        vw.probes.glsim(bare)

    def zero(tokens):
        tokens[0, 0] = 0

    with pytest.raises(ValueError, match="the class token of layer 1 is 0"):
        vw.probes.glsim(without_norm(zero))


def test_the_best_patches_of_scenes_lie_on_the_object():
    """Breaks when the map has nothing to do with the object. Patches at random are the measure."""
    model = vw.load("demo")
    scenes = vw.demo.scenes(40, seed=17)
    cache = vw.capture(model, [scene.image for scene in scenes], keep=("tokens",))
    hits, shares = [], []
    for number, scene in enumerate(scenes):
        truth = scene.mask.reshape(12, 12, 12, 12).mean(axis=(1, 3)) > 0.5
        rows, cols = vw.probes.glsim(cache, image=number).patches.T
        hits.append(truth[rows, cols].mean())
        shares.append(truth.mean())
    assert np.mean(hits) > np.mean(shares) + 0.25
