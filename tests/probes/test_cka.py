"""Centred kernel alignment: its invariances, and the slow form of its definition."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import shrinking_cache, tiny_cache


def with_tokens(*layers: torch.Tensor) -> vw.ActivationCache:
    """A capture of two images with these patches, (image, patch, feature) a layer."""
    cache = tiny_cache(torch.float64)
    tokens = [torch.cat([cache.tokens[0][..., :1, :], one], dim=1) for one in layers]
    return replace(cache, _tokens=tuple(tokens))


def test_rotation_scale_and_shift_change_nothing():
    """Breaks when features are not centred, or their size counts."""
    torch.manual_seed(3)
    patches = torch.randn(2, 24, 16, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(16, 16, dtype=torch.float64))[0]
    found = vw.probes.cka(with_tokens(patches, 7.3 * patches @ rotation + 2.0))
    np.testing.assert_allclose(found.values, np.ones((2, 2)), atol=1e-12)
    assert found.samples == 48


def test_it_is_the_pairwise_form_of_its_definition():
    """Breaks when Gram matrices are centred or normed in another way than products of features."""
    cache = tiny_cache(torch.float64, depth=4)
    found = vw.probes.cka(cache).values
    layers = [one[:, 1:].reshape(-1, 16).numpy() for one in cache.tokens]
    layers = [one - one.mean(axis=0) for one in layers]
    for row, x in enumerate(layers):
        for col, y in enumerate(layers):
            cross = np.linalg.norm(y.T @ x) ** 2
            wanted = cross / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
            assert found[row, col] == pytest.approx(wanted, abs=1e-12)
    np.testing.assert_allclose(found, found.T, atol=1e-15)
    assert ((found >= 0) & (found <= 1)).all()


def test_independent_features_are_less_alike_than_the_same():
    """Breaks when anything looks alike."""
    torch.manual_seed(5)
    one, other = torch.randn(2, 2, 24, 16, dtype=torch.float64)
    found = vw.probes.cka(with_tokens(one, other)).values
    assert found[0, 1] < 0.6 < found[0, 0]


def test_two_models_are_compared_over_the_same_images():
    """Breaks when the other model's layers are not the columns."""
    cache, other = tiny_cache(depth=3), tiny_cache(embed_dim=32)
    found = vw.probes.cka(cache, other).values
    assert found.shape == (3, 2)
    np.testing.assert_allclose(vw.probes.cka(other, cache).values, found.T, atol=1e-12)


def test_what_cannot_be_compared_is_said():
    """Breaks when grids of other sizes, or other images, give a number."""
    cache = tiny_cache()
    images = torch.rand(1, 3, 32, 48)
    with pytest.raises(ValueError, match="2 and 1 images cannot be compared"):
        vw.probes.cka(cache, vw.capture(cache.model, images, keep=("tokens",)))
    with pytest.raises(ValueError, match="48 and 12 patches"):
        vw.probes.cka(with_tokens(*(torch.rand(2, 24, 16),) * 2), tiny_cache(patch_size=16))
    still = torch.randn(16, dtype=torch.float64).expand(2, 24, 16)
    assert np.isnan(vw.probes.cka(with_tokens(still, torch.rand_like(still))).values[0]).all()
    with pytest.raises(ValueError, match="layers with other grids cannot be compared"):
        vw.probes.cka(shrinking_cache())


def hsic1(x: np.ndarray, y: np.ndarray) -> float:
    """The sum that Song et al. write, over tokens one by one."""
    k, low = x @ x.T, y @ y.T
    n = len(k)
    np.fill_diagonal(k, 0)
    np.fill_diagonal(low, 0)
    trace = sum(k[i, j] * low[j, i] for i in range(n) for j in range(n))
    sums = k.sum() * low.sum() / ((n - 1) * (n - 2))
    rows = sum(k[:, i].sum() * low[i].sum() for i in range(n))
    return (trace + sums - 2 * rows / (n - 2)) / (n * (n - 3))


def test_the_unbiased_measure_is_the_literal_sum():
    """Breaks when a diagonal stays, or a Gram matrix is centred as for the biased measure."""
    cache = tiny_cache(torch.float64, depth=3)
    found = vw.probes.cka(cache, unbiased=True).values
    layers = [one[:, 1:].reshape(-1, 16).numpy() for one in cache.tokens]
    for row, x in enumerate(layers):
        for col, y in enumerate(layers):
            wanted = hsic1(x, y) / (hsic1(x, x) * hsic1(y, y)) ** 0.5
            assert found[row, col] == pytest.approx(wanted, abs=1e-10)


def test_independent_features_are_unlike_without_the_bias_of_few_samples():
    """Breaks when the unbiased measure goes up with few samples, as the biased one does."""
    torch.manual_seed(7)
    pairs = [with_tokens(*one) for one in torch.randn(12, 2, 2, 24, 16, dtype=torch.float64)]
    biased = [vw.probes.cka(one).values[0, 1] for one in pairs]
    unbiased = [vw.probes.cka(one, unbiased=True).values[0, 1] for one in pairs]
    assert np.mean(biased) == pytest.approx(16 / (48 + 16), abs=0.03)
    assert abs(np.mean(unbiased)) < 0.05
    assert min(unbiased) < 0  # it is not cut off at 0


def test_batches_add_up_in_any_order():
    """Breaks when a sum of batches is no sum, or divides before it adds."""
    cache = tiny_cache(torch.float64, depth=3)
    images = torch.rand(6, 3, 32, 48, dtype=torch.float64)
    batches = [vw.capture(cache.model, images[i : i + 2], keep=("tokens",)) for i in (0, 2, 4)]
    forwards, backwards = vw.probes.CKASum(), vw.probes.CKASum()
    for batch in batches:
        forwards.add(batch)
    for batch in reversed(batches):
        backwards.add(batch)
    found = forwards.result()
    assert found.samples == 6 * 24
    assert found.params["unbiased"]
    np.testing.assert_allclose(found.values, backwards.result().values, atol=1e-12)
    layers = [[one[:, 1:].reshape(-1, 16).numpy() for one in batch.tokens] for batch in batches]
    cross = sum(hsic1(batch[0], batch[2]) for batch in layers)
    own = [sum(hsic1(batch[i], batch[i]) for batch in layers) for i in (0, 2)]
    assert found.values[0, 2] == pytest.approx(cross / (own[0] * own[1]) ** 0.5, abs=1e-10)
    once = vw.probes.CKASum()
    once.add(batches[0])
    alone = vw.probes.cka(batches[0], unbiased=True).values
    np.testing.assert_allclose(once.result().values, alone, atol=1e-12)


def test_a_sum_is_of_one_pair_of_models():
    """Breaks when batches of other models are added up, or nothing is divided by nothing."""
    total = vw.probes.CKASum()
    with pytest.raises(ValueError, match="no images were added"):
        total.result()
    cache = tiny_cache(torch.float64, depth=2)
    total.add(cache, tiny_cache(torch.float64, depth=3))
    assert total.result().values.shape == (2, 3)
    with pytest.raises(ValueError, match="this sum is of"):
        total.add(cache)


def test_which_tokens_are_compared_is_chosen():
    """Breaks when the class token is counted among the patches, or left out of all."""
    cache = tiny_cache(torch.float64, reg_tokens=3)
    assert [vw.probes.cka(cache, of=of).samples for of in ("patches", "prefix", "all")] == [
        48, 8, 56,
    ]  # fmt: skip
    tokens = [one.clone() for one in cache.tokens]
    tokens[1][:, 4:] = torch.randn_like(tokens[1][:, 4:])  # the prefix stays
    tokens[1][:, :4] = 3 * tokens[0][:, :4] + 1
    changed = replace(cache, _tokens=tuple(tokens))
    assert vw.probes.cka(changed, of="prefix").values[0, 1] == pytest.approx(1)
    assert vw.probes.cka(changed, of="patches").values[0, 1] < 0.8
    with pytest.raises(ValueError, match='give "patches", "prefix" or "all"'):
        vw.probes.cka(cache, of="class")
    with pytest.raises(ValueError, match=r"2 tokens cannot tell .*unbiased, four"):
        vw.probes.cka(tiny_cache(), of="prefix", unbiased=True)
    bare = tiny_cache(class_token=False, global_pool="avg")
    with pytest.raises(ValueError, match="0 tokens cannot tell"):
        vw.probes.cka(bare, of="prefix")
