"""The tab of clusters: a selection is answered by the probes, an altered image by one forward."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from tests.models.module_state import state_of
from tests.probes.tiny_tokens import Picked
from vit_widgets import probes
from vit_widgets.probes.cluster_metrics import METRICS
from vit_widgets.widgets.wire import unpack

GRID = vw.models.Grid(12, 12, (12, 12))


@pytest.fixture(scope="module")
def model() -> vw.VisionModel:
    """Open the bundled model once."""
    return vw.load("demo")


@pytest.fixture
def page(model: vw.VisionModel) -> Iterator[vw.Inspector]:
    """The tab, opened at layer 3."""
    opened = vw.inspect(model, vw.demo.scenes(3, seed=2), tab="clusters", layer=3)
    assert opened.wait(60)
    yield opened
    opened.close()


@contextmanager
def counted(model: vw.VisionModel) -> Iterator[Callable[[], int]]:
    """Count forwards."""
    forwards: list[int] = []
    handle = model.module.register_forward_pre_hook(lambda *_: forwards.append(1))
    try:
        yield lambda: len(forwards)
    finally:
        handle.remove()


def two_objects() -> np.ndarray:
    """Two objects that do not touch, and patches of none."""
    labels = np.zeros((12, 12), np.uint8)
    labels[2:6, 2:6], labels[7:11, 5:10] = 1, 2
    return labels


def mark(page: vw.Inspector, labels: np.ndarray) -> None:
    """Mark objects in the image in view, and compare with them."""
    page.clusters_of = "objects"
    page.token_mask = {"image_index": page.image_index, "values": labels}
    assert page.wait(60)


def values(page: vw.Inspector) -> np.ndarray:
    """Curves of the page, (version, metric, layer)."""
    return unpack(page.clusters_curves["values"])


def test_what_is_shown_is_what_the_probes_say(page: vw.Inspector):
    """Breaks when a layer, an image or a set of patches of the page means another to the probe."""
    page.image_index = 1
    page.layer = 4
    assert page.wait(60)
    cache = vw.capture(page.model, vw.demo.scenes(3, seed=2)[1], keep=("tokens",))
    every = [probes.patch_clusters(cache, layer) for layer in range(6)]
    np.testing.assert_array_equal(unpack(page.clusters["labels"]), every[4].values)
    assert page.clusters["eps"] == pytest.approx(every[4].eps)
    assert sum(page.clusters["sizes"]) + page.clusters["noise"] == 144
    said = values(page)[0]
    for metric in ("silhouette", "in_cluster"):
        wanted = [getattr(one, metric) for one in every]
        np.testing.assert_allclose(said[METRICS.index(metric)], wanted, atol=1e-5)
    for metric in ("purity", "in_object", "unique_labels"):
        assert np.isnan(said[METRICS.index(metric)]).all()  # no object is known

    mark(page, two_objects())
    found = probes.cluster_metrics(cache, two_objects())
    np.testing.assert_array_equal(unpack(page.clusters["labels"]), found.clusters[4])
    np.testing.assert_allclose(values(page)[0], found.values, atol=1e-5)
    assert page.clusters_curves["objects"] == [[1, 16], [2, 20]]
    assert not page.clusters_curves["rest"]
    for cluster, owner in enumerate(page.clusters["owners"]):
        of = two_objects()[found.clusters[4] == cluster]
        assert (of == owner).sum() == max((of == 1).sum(), (of == 2).sum())

    page.clusters_reach = 0.8
    assert page.wait(60)
    nearer = probes.cluster_metrics(cache, two_objects(), eps=0.8 * found.eps)
    assert (nearer.values != found.values).any()
    np.testing.assert_allclose(values(page)[0], nearer.values, atol=1e-5)
    assert page.clusters["eps"] == pytest.approx(nearer.eps[4])


def test_a_single_object_is_compared_with_the_rest(page: vw.Inspector):
    """Breaks when one object is an error, or what lies around it is left out without a word."""
    only = np.where(two_objects() == 2, 2, 0)
    mark(page, only)
    assert page.clusters_curves["rest"]
    assert page.clusters_curves["objects"] == [[2, 20], [3, 124]]
    wanted = probes.cluster_metrics(page._pictures.tokens(0), np.where(only > 0, 2, 3))
    np.testing.assert_allclose(values(page)[0], wanted.values, atol=1e-5)
    page.clusters_compared = ["non-salient"]  # the rest is no object that could be dropped
    assert page.wait(60)
    assert page.clusters_curves["notes"] == {}
    assert np.isfinite(values(page)).all()
    page.clusters_version = "non-salient"
    assert page.wait(60)
    assert page.clusters_picture["words"] == "24 of 144 patches black"  # a fifth of 124


def test_altered_images_are_measured_as_they_are_seen(page: vw.Inspector):
    """Breaks when objects do not move with their patches, or versions change places."""
    mark(page, two_objects())
    page.clusters_cells, page.clusters_dropped, page.clusters_seed = 3, 0.5, 4
    page.clusters_compared = ["salient", "shuffled", "random"]
    assert page.wait(60)
    assert page.clusters_curves["versions"] == ["original", "salient", "shuffled", "random"]
    picture = page.model.picture(page._pictures.batch(0)[0])
    pixels = np.kron(two_objects(), np.ones((12, 12), int)).astype(int)
    moved = probes.shuffle_patches(picture, 3, 4, mask=pixels)
    gone = probes.drop_patches(picture, "salient", 0.5, 12, pixels > 0, 4).cells
    assert gone.sum() == 18
    assert (two_objects()[gone] > 0).all()
    some = probes.drop_patches(picture, "random", 0.5, 12, seed=4).cells
    for row, image, objects in (
        (1, drop(picture, gone), np.where(gone, 0, two_objects())),
        (2, moved.image, probes.object_labels(moved.mask, GRID, (144, 144))),
        (3, drop(picture, some), np.where(some, 0, two_objects())),
    ):
        batch = page.model.normalize(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)
        found = probes.cluster_metrics(vw.capture(page.model, batch, keep=("tokens",)), objects)
        np.testing.assert_allclose(values(page)[row], found.values, atol=1e-4)
    page.clusters_version = "salient"
    assert page.wait(60)
    assert (unpack(page.clusters_picture["pixels"])[0] == drop(picture, gone)).all()
    assert page.clusters_picture["words"] == "18 of 144 patches black"
    assert (unpack(page.clusters["labels"])[gone] == -2).all()


def drop(picture: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Black out patches."""
    return np.where(np.kron(cells, np.ones((12, 12)))[..., None] > 0, 0, picture).astype(np.uint8)


def test_forwards_are_those_of_altered_images_each_once(page: vw.Inspector):
    """Breaks when a layer, a distance or an object runs the model, or a version runs twice."""
    with counted(page.model) as forwards:
        mark(page, two_objects())
        page.layer, page.clusters_reach = 1, 1.3
        mark(page, two_objects()[::-1])
        assert page.wait(60)
        assert forwards() == 0
        page.clusters_compared = ["shuffled"]
        assert page.wait(60)
        page.layer, page.clusters_version = 2, "shuffled"
        assert page.wait(60)
        page.clusters_compared, page.clusters_version = [], "original"
        mark(page, two_objects())
        page.clusters_compared = ["shuffled", "random"]
        assert page.wait(60)
        assert forwards() == 2
        page.clusters_seed = 1  # other pictures
        assert page.wait(60)
        assert forwards() == 4
        page.clusters_dropped = 0.4  # which the shuffled one does not depend on
        assert page.wait(60)
        assert forwards() == 5
        assert page.clusters_curves["forwards"] == 5


def test_measuring_can_be_stopped_and_goes_on(page: vw.Inspector):
    """Breaks when a stopped page runs the model, or forgets what it has."""
    held = values(page)[0]
    with counted(page.model) as forwards:
        page.clusters_measuring = False
        page.clusters_compared = ["shuffled"]
        assert page.wait(60)
        assert forwards() == 0
        np.testing.assert_array_equal(values(page)[0], held)
        assert np.isnan(values(page)[1]).all()
        assert (page.clusters_curves["done"], page.clusters_curves["total"]) == (6, 12)
        page.clusters_measuring = True
        assert page.wait(60)
        assert forwards() == 1
        assert page.clusters_curves["done"] == 12


def test_tokencut_can_begin_and_is_called_a_guess(page: vw.Inspector):
    """Breaks when the guess is of another layer, or still called one when it was changed."""
    page.clusters_guess = {"layer": 3, "image_index": 0}
    assert page.wait(60)
    cut = probes.tokencut(page._pictures.tokens(0), 3, of="tokens")
    np.testing.assert_array_equal(page.objects(0), cut.mask)
    assert page.clusters_of == "objects"
    assert page.clusters_guess == {}
    assert page.clusters_curves["guessed"]
    mark(page, two_objects())
    assert not page.clusters_curves["guessed"]


def test_what_cannot_be_is_said_in_its_place(page: vw.Inspector):
    """Breaks when a refusal ends as an error of the whole view, or takes other curves along."""
    page.clusters_compared = ["salient", "shuffled"]
    assert page.wait(60)
    notes = page.clusters_curves["notes"]
    assert notes == {"salient": "mark an object first: what is dropped is told by it"}
    assert np.isfinite(values(page)[[0, 2], 1]).all()
    page.clusters_version = "salient"
    assert page.wait(60)
    assert "mark an object first" in page.clusters["note"]
    assert "mark an object first" in page.clusters_picture["note"]
    page.clusters_version, page.clusters_of = "original", "objects"
    assert page.wait(60)
    assert "No object is marked" in page.clusters["note"]
    assert "No object is marked" in page.clusters_curves["note"]
    small = np.zeros((12, 12), np.uint8)
    small[0, :2], small[5, :5] = 1, 2
    mark(page, small)
    assert "{1: 2, 2: 5}" in page.clusters["note"]
    assert "at least 3 patches" in page.clusters_curves["notes"]["original"]
    assert page.status["state"] == "ready"
    mark(page, two_objects())
    assert page.clusters["note"] == ""


def test_a_model_without_places_says_so():
    """Breaks when a note becomes an error of the page."""
    page = vw.inspect(Picked(), torch.rand(1, 3, 32, 32), tab="clusters", layer=1)
    page.clusters_compared = ["random"]
    page.clusters_guess = {"layer": 1, "image_index": 0}
    assert page.wait(60)
    assert "is not known" in page.clusters["note"]
    assert "is not known" in page.clusters_guess["note"]
    assert page.status["state"] == "ready"


def test_layers_of_other_grids_take_the_same_objects():
    """Breaks when a mask fits only the finest layers of a model that merges its patches."""
    torch.manual_seed(0)
    module = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=56, embed_dim=16, depths=(1, 1), num_heads=(1, 2),
        num_classes=3,
    ).eval()  # fmt: skip
    page = vw.inspect(module, torch.rand(1, 3, 56, 56), tab="clusters", layer=1)
    halves = np.ones((14, 14), np.uint8)
    halves[7:] = 2
    mark(page, halves)
    assert page.clusters_curves["notes"] == {}
    coarse = np.ones((7, 7), int)
    coarse[4:] = 2  # the row before holds half of each: the first has it
    cache = page._pictures.tokens(0)
    for layer, labels in enumerate((halves, coarse)):
        [wanted] = probes.cluster_metrics(cache, labels, layers=[layer]).values.T
        np.testing.assert_allclose(values(page)[0, :, layer], wanted, atol=1e-5)


def test_nothing_is_left_on_the_model(page: vw.Inspector):
    """Breaks when running altered images leaves a hook, a mode or a gradient."""
    before = state_of(page.model.module)
    mark(page, two_objects())
    page.clusters_compared = ["shuffled", "salient", "non-salient", "random"]
    assert page.wait(60)
    assert page.clusters_curves["forwards"] == 4
    assert state_of(page.model.module) == before


def test_an_error_while_an_altered_image_runs_is_shown(page: vw.Inspector, monkeypatch):
    """Breaks when the page says that it works for ever, or the error is swallowed."""
    monkeypatch.setattr(
        "vit_widgets.inspector.clusterings.capture",
        lambda *_args, **_more: (_ for _ in ()).throw(RuntimeError("out of memory")),
    )
    page.clusters_compared = ["shuffled"]
    assert page.wait(60)
    assert page.status["state"] == "error"
    assert "out of memory" in page.status["text"]
