"""TokenCut: the cut of a dense solver, invariant where it has to be, on known objects."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import linalg

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache
from vit_widgets.models import Grid
from vit_widgets.probes.tokencut import affinity, cut, second_eigenvector

BLOB = np.zeros((4, 6), bool)
BLOB[1:3, 2:5] = True


def with_patches(patches: torch.Tensor) -> vw.ActivationCache:
    """A capture whose last layer has these patches."""
    cache = tiny_cache(torch.float64)
    tokens = [one.clone() for one in cache.tokens]
    tokens[1][0, 1:] = patches
    return replace(cache, _tokens=tuple(tokens))


def two_groups(noise: float = 0.3) -> torch.Tensor:
    """A blob and what is around it, in directions at right angles."""
    torch.manual_seed(1)
    directions = torch.eye(16, dtype=torch.float64)[:2] * 3
    member = torch.from_numpy(BLOB.ravel().astype(int))
    return directions[member] + noise * torch.randn(24, 16, dtype=torch.float64)


tokens_cut = functools.partial(vw.probes.tokencut, of="tokens")


def test_two_groups_are_cut_apart():
    """Breaks when the wrong eigenvector is taken, or the larger side is called the object."""
    found = tokens_cut(with_patches(two_groups()))
    np.testing.assert_array_equal(found.mask, BLOB)
    np.testing.assert_array_equal(found.bipartition, BLOB)
    assert found.box == (16, 8, 40, 24)
    assert BLOB[found.seed]
    assert found.eigenvector[found.seed] > 0


def test_the_eigenvector_is_that_of_the_dense_generalised_problem():
    """Breaks when the symmetric form, its scale or its order of eigenvalues is wrong."""
    weights = affinity(two_groups(noise=1.5).numpy(), tau=0.1)
    value, vector = second_eigenvector(weights)
    degrees = np.diag(weights.sum(axis=1))
    values, vectors = linalg.eigh(degrees - weights, degrees)
    assert abs(values[0]) < 1e-12
    assert value == pytest.approx(values[1], abs=1e-12)
    assert 0 <= value <= 2
    assert abs(vectors[:, 1] @ degrees @ vector) == pytest.approx(1, abs=1e-9)
    assert vector @ degrees @ vector == pytest.approx(1, abs=1e-12)


def test_the_size_of_patches_does_not_matter():
    """Breaks when patches are compared by products."""
    patches = two_groups(noise=1.0)
    sizes = torch.linspace(0.2, 7, 24, dtype=torch.float64)[:, None]
    before, after = (
        tokens_cut(with_patches(one)).eigenvector for one in (patches, patches * sizes)
    )
    np.testing.assert_allclose(after, before, atol=1e-9)


def test_the_order_of_patches_does_not_matter():
    """Breaks when the places of patches play a part in the cut."""
    patches = two_groups(noise=1.0).numpy()
    order = np.random.default_rng(0).permutation(24)
    value, vector = second_eigenvector(affinity(patches, 0.2))
    other, turned = second_eigenvector(affinity(patches[order], 0.2))
    assert other == pytest.approx(value)
    np.testing.assert_allclose(np.abs(turned), np.abs(vector[order]), atol=1e-8)


def test_pieces_that_only_weak_weights_hold_are_said():
    """Breaks when a graph that falls apart is passed off as a cut like any other."""
    found = tokens_cut(with_patches(two_groups(noise=0.01)), tau=0.5)
    assert found.notes
    assert not tokens_cut(with_patches(two_groups(noise=1.5)), tau=0.1).notes


def test_what_cannot_be_cut_is_said():
    """Breaks when patches that are all alike, or 0, or too few, give an object."""
    alike = torch.ones(24, 16, dtype=torch.float64)
    with pytest.raises(ValueError, match="nothing to cut"):
        tokens_cut(with_patches(alike))
    with pytest.raises(ValueError, match="of at most 1 to each other"):
        tokens_cut(with_patches(two_groups()), tau=1)
    alike[3] = 0
    with pytest.raises(ValueError, match="1 patches are 0 everywhere"):
        tokens_cut(with_patches(alike))
    with pytest.raises(ValueError, match="tau=2 is no cosine"):
        tokens_cut(with_patches(alike), tau=2)
    with pytest.raises(ValueError, match="2 patches cannot be cut"):
        affinity(np.eye(2), 0.2)
    with pytest.raises(ValueError, match="lower tau"):
        affinity(np.eye(4), 0.2)
    with pytest.raises(ValueError, match="eps=0 must lie"):
        affinity(two_groups().numpy(), 0.2, eps=0)
    with pytest.raises(ValueError, match="negative cosines"):
        affinity(two_groups().numpy(), -0.2, binary=False)
    same = np.tile(np.random.default_rng(0).normal(size=16), (24, 1))
    with pytest.raises(ValueError, match="nothing to cut"):
        affinity(same, 0.2, binary=False)
    with pytest.raises(ValueError, match="a grid of 4 x 6"):
        cut(np.ones((23, 16)), Grid(4, 6, (8, 8)))
    with pytest.raises(ValueError, match="NaN"):
        cut(np.full((24, 16), np.nan), Grid(4, 6, (8, 8)))
    with pytest.raises(ValueError, match="of='values' is not known"):
        vw.probes.tokencut(tiny_cache(), of="values")


def test_features_at_hand_are_cut_like_those_of_a_cache():
    """Breaks when a page that moves tau sees another cut than the probe gives."""
    patches = two_groups(noise=1.0)
    whole = tokens_cut(with_patches(patches), tau=0.3, eps=1e-3)
    held = cut(patches.numpy(), Grid(4, 6, (8, 8)), tau=0.3, eps=1e-3)
    np.testing.assert_array_equal(held.eigenvector, whole.eigenvector)
    assert held.box == whole.box
    assert whole.params["layer"] == 1
    assert held.params.items() < whole.params.items()


def test_weights_are_cosines_where_they_are_asked_for():
    """Breaks when the weights that are no longer 1 are not the cosines, or weak ones are kept."""
    patches = two_groups(noise=1.0).numpy()
    unit = patches / np.sqrt((patches**2).sum(axis=1))[:, None]
    cosines = np.einsum("if,jf->ij", unit, unit)
    weights = affinity(patches, 0.3, binary=False, eps=1e-3)
    np.testing.assert_allclose(weights[cosines > 0.3], cosines[cosines > 0.3], atol=1e-12)
    assert (weights[cosines <= 0.3] == 1e-3).all()
    assert 0 < (cosines <= 0.3).sum() < cosines.size


def test_keys_are_cut_where_they_are_asked_for():
    """Breaks when the tokens are taken for the keys, or the class token for a patch."""
    cache = tiny_cache(torch.float64)
    kept = cache.attention[1]._event.keys
    kept += torch.randn(kept.shape, dtype=torch.float64)  # random weights: all alike
    keys = cache.attention[1].key_vectors(image=1)
    beside = np.concatenate([keys[0], keys[1]], axis=1)[1:]
    found = vw.probes.tokencut(cache, image=1)
    held = cut(beside, Grid(4, 6, (8, 8)))
    np.testing.assert_array_equal(found.eigenvector, held.eigenvector)
    assert found.params["of"] == "keys"


def test_the_object_of_a_scene_is_found():
    """Breaks when the mask has nothing to do with the object. Layer 3, chosen on seed 5."""
    model = vw.load("demo")
    scenes = vw.demo.scenes(40, seed=17)
    cache = vw.capture(model, [scene.image for scene in scenes], keep=("tokens",))
    overlaps, boxes = [], []
    for number, scene in enumerate(scenes):
        truth = scene.mask.reshape(12, 12, 12, 12).mean(axis=(1, 3)) > 0.5
        mask = tokens_cut(cache, layer=3, image=number).mask
        middle = np.zeros_like(truth)
        middle[3:9, 3:9] = True
        overlaps.append((mask & truth).sum() / (mask | truth).sum())
        boxes.append((middle & truth).sum() / (middle | truth).sum())
    assert np.mean(overlaps) > np.mean(boxes) + 0.1


def test_the_keys_of_the_last_layer_find_the_object_of_a_scene():
    """Breaks when other keys are taken: tokens of that layer find less than half as much."""
    model = vw.load("demo")
    scenes = vw.demo.scenes(40, seed=17)
    cache = vw.capture(model, [scene.image for scene in scenes], keep=("attention", "tokens"))
    overlaps = []
    for number, scene in enumerate(scenes):
        truth = scene.mask.reshape(12, 12, 12, 12).mean(axis=(1, 3)) > 0.5
        mask = vw.probes.tokencut(cache, image=number).mask
        overlaps.append(vw.probes.mask_iou(mask, truth))
    assert np.mean(overlaps) > 0.6


def test_the_box_ends_where_the_picture_does():
    """Breaks when patches that hang over the border take the box along."""
    features = np.ones((24, 2))
    features[:, 1] = 0
    features[[22, 23]] = [[0, 1], [0, 1]]
    grid = Grid(4, 6, (8, 8))
    assert cut(features, grid).box == (32, 24, 48, 32)
    assert cut(features, grid, size=(30, 45)).box == (32, 24, 45, 30)
    hanging = with_patches(two_groups())
    assert hanging.token_axes[1].grid == grid  # asked of the model before its picture is cut
    object.__setattr__(hanging, "images", hanging.images[..., :22, :38])
    assert tokens_cut(hanging).box == (16, 8, 38, 22)


def test_the_refined_mask_follows_the_edges_of_the_picture():
    """Breaks when the picture does not matter, holes stay, or specks beside the object are kept."""
    found = tokens_cut(with_patches(two_groups()))
    picture = np.full((32, 48, 3), 40, np.uint8)
    object_ = np.zeros((32, 48), bool)
    object_[9:22, 18:38] = True  # all but fills the patches
    picture[object_] = [220, 60, 60]
    assert (found.refined(picture) == object_).all()
    holed = picture.copy()
    holed[14:16, 25:28] = 40
    assert (found.refined(holed) == object_).all()
    flat = np.full_like(picture, 99)
    assert not (found.refined(flat) == object_).all()
    with pytest.raises(ValueError, match="has no colours"):
        found.refined(picture[..., 0])
    with pytest.raises(ValueError, match="they cover 32 x 48"):
        found.refined(picture[:, :30])


def test_the_refined_mask_of_a_scene_is_nearer_to_the_object():
    """Breaks when refinement takes away more than it gives."""
    model = vw.load("demo")
    scenes = vw.demo.scenes(12, seed=17)
    cache = vw.capture(model, [scene.image for scene in scenes])
    coarse, fine = [], []
    for number, scene in enumerate(scenes):
        found = vw.probes.tokencut(cache, image=number)
        assert found.mask.any()
        coarse.append(vw.probes.mask_iou(found.mask.repeat(12, 0).repeat(12, 1), scene.mask))
        refined = found.refined(model.picture(cache.images[number]))
        fine.append(vw.probes.mask_iou(refined, scene.mask))
    assert np.mean(fine) > np.mean(coarse) + 0.05


def with_standing_patches() -> tuple[torch.Tensor, np.ndarray]:
    """Two groups, and patches apart that hang together with nothing but each other."""
    standing = np.zeros((4, 6), bool)
    standing[0, 0] = standing[0, 1] = standing[3, 5] = True
    patches = two_groups(noise=0.7)
    patches[:, 7] = 0
    patches[torch.from_numpy(standing.ravel())] = 40 * torch.eye(16, dtype=torch.float64)[7]
    return patches, standing


def test_patches_that_stand_out_hide_the_object_until_they_are_left_out():
    """Breaks when patches that were left out still weigh in the cut, or are in its answer."""
    patches, standing = with_standing_patches()
    cache = with_patches(patches)
    np.testing.assert_array_equal(vw.probes.token_norms(cache, 0).outlier_map(1), standing)
    whole = tokens_cut(cache)
    assert (whole.bipartition == standing).all()
    assert not (whole.mask & BLOB).any()
    assert whole.params["left_out"] == 0
    found = tokens_cut(cache, without=standing)
    np.testing.assert_array_equal(found.mask, BLOB)
    np.testing.assert_array_equal(found.bipartition, BLOB)
    np.testing.assert_array_equal(np.isnan(found.eigenvector), standing)
    assert found.params["left_out"] == 3


def test_leaving_patches_out_is_cutting_the_others():
    """Breaks when the graph keeps a patch that was left out, or the rest is put elsewhere."""
    patches = two_groups(noise=1.0).numpy()
    out = np.zeros((4, 6), bool)
    out[0] = True  # a row: what remains is a grid as well
    patches[:6] = np.nan  # not looked at
    found = cut(patches, Grid(4, 6, (8, 8)), without=out)
    rest = cut(patches[6:], Grid(3, 6, (8, 8)))
    np.testing.assert_array_equal(found.eigenvector[1:], rest.eigenvector)
    np.testing.assert_array_equal(found.mask[1:], rest.mask)
    np.testing.assert_array_equal(found.bipartition[1:], rest.bipartition)
    assert not found.mask[0].any()
    assert not found.bipartition[0].any()
    assert found.eigenvalue == rest.eigenvalue
    assert found.seed == (rest.seed[0] + 1, rest.seed[1])


def test_either_sign_of_a_solver_leaves_the_same_out(monkeypatch: pytest.MonkeyPatch):
    """Breaks when turning the eigenvector brings back what was left out."""
    patches, standing = with_standing_patches()
    grid = Grid(4, 6, (8, 8))
    one = cut(patches.numpy(), grid, without=standing)

    def turned(weights: np.ndarray) -> tuple[float, np.ndarray]:
        value, vector = second_eigenvector(weights)
        return value, -vector

    monkeypatch.setitem(cut.__globals__, "second_eigenvector", turned)  # its module has its name
    other = cut(patches.numpy(), grid, without=standing)
    np.testing.assert_array_equal(other.eigenvector, one.eigenvector)
    np.testing.assert_array_equal(other.bipartition, one.bipartition)
    np.testing.assert_array_equal(one.bipartition, BLOB)


def test_what_cannot_be_left_out_is_said():
    """Breaks when a mask of other patches, or of all, is taken for one."""
    patches = two_groups().numpy()
    grid = Grid(4, 6, (8, 8))
    with pytest.raises(ValueError, match=r"without of shape \(6, 4\) and type bool"):
        cut(patches, grid, without=np.zeros((6, 4), bool))
    with pytest.raises(ValueError, match="type int64 does not say which of 4 x 6"):
        cut(patches, grid, without=np.zeros((4, 6), np.int64))
    most = np.ones((4, 6), bool)
    with pytest.raises(ValueError, match="leaves 0 of 24 patches: at least three"):
        cut(patches, grid, without=most)
    most[0, :2] = False
    with pytest.raises(ValueError, match="leaves 2 of 24 patches"):
        cut(patches, grid, without=most)
