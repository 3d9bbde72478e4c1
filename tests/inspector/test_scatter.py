"""The tab of the embedding: what is selected is laid out by the probe, a little at a time."""

import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch

import vit_widgets as vw
from vit_widgets.widgets.wire import unpack

QUERY = 1 + 5 * 12 + 5


@pytest.fixture
def page() -> vw.Inspector:
    """The tab with three images, opened at a patch of layer 3."""
    opened = vw.inspect("demo", vw.demo.images(3), tab="scatter", layer=3, query=QUERY)
    assert opened.wait(60)
    return opened


def cache(page: vw.Inspector) -> vw.ActivationCache:
    """All three images in one capture of the test's own."""
    return vw.capture(page.model, vw.demo.images(3), keep=("attention", "tokens"))


def points(page: vw.Inspector, name: str = "points") -> np.ndarray:
    """An array of the answer."""
    return unpack(page.scatter_points[name])


def values(page: vw.Inspector, by: str) -> np.ndarray:
    """What colours the points."""
    page.scatter_colour = by
    assert page.wait(60)
    assert page.scatter_values["by"] == by
    return unpack(page.scatter_values["values"])


def turned(frame: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Turn and mirror a frame onto another: what a PCA may differ by."""
    u, _, v = np.linalg.svd(frame.T @ onto)
    return frame @ u @ v


def test_points_are_those_of_the_probe_for_the_selection(page: vw.Inspector):
    """Breaks when a layer, image or span of the page means other tokens to the probe."""
    known = cache(page)
    page.image_index, page.layer = 1, 2
    assert page.wait(60)
    wanted = vw.probes.project(known, 2, images=[1])
    np.testing.assert_allclose(turned(points(page), wanted.points), wanted.points, atol=1e-3)
    assert points(page, "image").tolist() == [1] * 145
    assert points(page, "token").tolist() == list(range(145))
    assert page.scatter_points["grid"] == [12, 12]
    assert page.scatter_points["prefix"] == ["class"]
    assert sum(page.scatter_points["explained"]) == pytest.approx(wanted.explained.sum(), abs=1e-4)
    page.scatter_span = "all images"
    assert page.wait(60)
    wanted = vw.probes.project(known, 2)
    np.testing.assert_allclose(turned(points(page), wanted.points), wanted.points, atol=1e-3)
    assert points(page, "image").tolist() == np.repeat([0, 1, 2], 145).tolist()
    assert page.status["state"] == "ready"


def test_frames_are_aligned_and_the_same_on_every_way(page: vw.Inspector):
    """Breaks when a frame depends on which layer was seen before, or is not turned onto it."""
    at_three = points(page)
    page.layer = 2
    assert page.wait(60)
    two = points(page)
    np.testing.assert_allclose(turned(at_three, two), at_three, atol=1e-3)
    page.layer = 5
    assert page.wait(60)
    page.layer = 3
    assert page.wait(60)
    assert points(page).tobytes() == at_three.tobytes()


def test_layers_and_colours_run_no_forward(page: vw.Inspector):
    """Breaks when anything but a new image runs the model."""
    forwards: list[int] = []
    handle = page.model.module.register_forward_pre_hook(lambda *_: forwards.append(1))
    try:
        for layer in (0, 5):
            page.layer = layer
            for by in ("norm", "cluster", "attention", "object"):
                page.scatter_colour = by
                assert page.wait(60)
        page.scatter_method = "tsne"
        assert page.wait(60)
        assert not forwards
        page.scatter_span = "all images"
        assert page.wait(60)
        assert len(forwards) == 2
    finally:
        handle.remove()


def test_points_have_the_numbers_of_their_tokens(page: vw.Inspector):
    """Breaks when a colour belongs to another token, layer or head than it says."""
    known = cache(page)
    tokens = known.tokens[3][0].double()
    np.testing.assert_allclose(values(page, "norm"), tokens.norm(dim=1), rtol=1e-5)
    wanted = known.attention[3].weights(image=0, query=QUERY).mean(axis=0)
    np.testing.assert_allclose(values(page, "attention"), wanted, atol=1e-5)
    page.query = 0
    assert page.wait(60)
    assert page.scatter_values["query"] == 0
    wanted = known.attention[3].weights(image=0, query=0).mean(axis=0)
    np.testing.assert_allclose(values(page, "attention"), wanted, atol=1e-5)
    page.scatter_k = 4
    clusters = values(page, "cluster")
    assert np.isnan(clusters[0])  # the class token is no patch
    alike = vw.probes.kmeans(known, 3, 4, images=[0]).labels.ravel()
    np.testing.assert_array_equal(clusters[1:], alike)


def test_objects_colour_their_points_in_every_image(page: vw.Inspector):
    """Breaks when a mask is laid over other patches or images than it was drawn on."""
    mask = np.zeros((12, 12), int)
    mask[2, 7], mask[9, 1] = 1, 3
    values(page, "object")
    assert "No object is drawn" in page.scatter_values["note"]
    page.token_mask = {"image_index": 0, "values": mask}
    np.testing.assert_array_equal(values(page, "object")[1:], mask.ravel())
    page.scatter_span = "all images"
    page.token_mask = {"image_index": 2, "values": mask.T}
    found = values(page, "object").reshape(3, 145)
    np.testing.assert_array_equal(found[0, 1:], mask.ravel())
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[2, 1:], mask.T.ravel())
    assert np.isnan(found[:, 0]).all()


def frames(page: vw.Inspector) -> list[tuple[int, int]]:
    """Note the layer and iterations of every answer from now on."""
    seen: list[tuple[int, int]] = []
    page.observe(
        lambda change: seen.append((change.new["layer"], change.new["done"])), ["scatter_points"]
    )
    return seen


def test_tsne_comes_in_steps_and_goes_on_from_its_neighbour(page: vw.Inspector):
    """Breaks when frames of a run go back, or a layer begins anew beside a finished one."""
    seen = frames(page)
    page.scatter_method = "tsne"
    assert page.wait(60)
    assert seen == sorted(seen)
    assert seen[-1] == (3, 750)
    assert "PCA of block 3" in page.scatter_points["note"]
    page.layer = 4
    assert page.wait(60)
    assert "t-SNE of block 3" in page.scatter_points["note"]


class Steps:
    """A t-SNE that does not go on before it may, in place of the probe's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may = threading.Semaphore(0)
        whole = vw.probes.projections

        def slow(tokens: Any, method: str = "pca", **settings: Any) -> Any:
            for found in whole(tokens, method, **settings):
                if method == "tsne":
                    assert self.may.acquire(timeout=60)
                yield found

        monkeypatch.setattr(vw.probes, "projections", slow)


def test_a_run_stops_and_says_how_far_it_came(page: vw.Inspector, monkeypatch: pytest.MonkeyPatch):
    """Breaks when Stop is not heard, or what was reached is lost or given for the whole."""
    steps, seen = Steps(monkeypatch), frames(page)
    page.scatter_method = "tsne"
    steps.may.release()  # one step, and the next waits
    page.scatter_going = False
    steps.may.release()
    assert page.wait(60)
    assert 0 < seen[-1][1] <= 50
    assert page.scatter_points["done"] == seen[-1][1]
    assert page.scatter_points["total"] == 750
    steps.may.release(100)
    page.scatter_going = True  # and again, from the beginning
    assert page.wait(60)
    assert page.scatter_points["done"] == 750


def test_other_questions_go_before_the_rest_of_a_run(
    page: vw.Inspector, monkeypatch: pytest.MonkeyPatch
):
    """Breaks when a run holds the worker until it is done, or goes on in a layer that was left."""
    steps, seen = Steps(monkeypatch), frames(page)
    page.scatter_method = "tsne"
    page.scatter_colour = "norm"
    asked = threading.Event()
    page.observe(lambda _: asked.set(), ["scatter_values"])
    steps.may.release(2)
    assert asked.wait(60)  # while 28 steps are still to come
    page.layer = 1
    steps.may.release(100)
    assert page.wait(60)
    assert seen[-1] == (1, 750)
    assert (3, 750) not in seen
    assert page.scatter_values["layer"] == 1


def test_what_cannot_be_laid_out_is_said_in_its_place(
    page: vw.Inspector, monkeypatch: pytest.MonkeyPatch
):
    """Breaks when a refusal ends as an error of the whole view, or other methods go with it."""
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    page.scatter_method = "tsne"
    assert page.wait(60)
    assert "pip install openTSNE" in page.scatter_points["note"]
    assert not page.scatter_points["points"]
    assert page.status["state"] == "ready"
    page.scatter_method = "pca"
    assert page.wait(60)
    assert len(points(page)) == 145


def test_nan_in_a_layer_is_said_and_layers_behind_it_too():
    """Breaks when NaN of one layer hides the layers before it, or is drawn."""
    model = vw.load("demo")

    class Broken(torch.nn.Module):
        """Its fourth block returns NaN for one patch."""

        def __init__(self) -> None:
            super().__init__()
            self.vit = model.module

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.vit(images)

    spoil = model.module.blocks[3].register_forward_hook(
        lambda _module, _inputs, output: output.index_fill(1, torch.tensor([7]), float("nan"))
    )
    try:
        page = vw.inspect(
            Broken(), vw.demo.images(1), transform=model.transform, tab="scatter", layer=3
        )
        assert page.wait(60)
        assert "NaN" in page.scatter_points["note"]
        page.layer = 2
        assert page.wait(60)
        assert len(points(page)) == 145
    finally:
        spoil.remove()


def test_what_is_selected_stays_from_layer_to_layer(page: vw.Inspector):
    """Breaks when a lasso is lost with a layer, or means other tokens after a change of images."""
    page.scatter_selected = [5, 140]
    page.layer = 4
    assert page.wait(60)
    assert page.scatter_selected == [5, 140]
    page.scatter_span = "all images"
    assert page.wait(60)
    assert page.scatter_selected == []
