"""The tab of heads: what it says is what the probes say, and no more is run than has to be."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache
from vit_widgets.inspector import heads as desk_of_heads
from vit_widgets.widgets.wire import unpack

SCENES = vw.demo.scenes(3, seed=5)
LABELS = [scene.label for scene in SCENES]


@pytest.fixture
def page() -> vw.Inspector:
    """The tab, opened on three scenes whose classes are known."""
    opened = vw.inspect("demo", [one.image for one in SCENES], tab="heads", heads_labels=LABELS)
    assert opened.wait(60)
    return opened


def done(page: vw.Inspector, run: str) -> vw.Inspector:
    """Let something be measured at length, to its end."""
    page.heads_running = run
    assert page.wait(120)
    assert page.heads_running == ""
    assert page.status["state"] == "ready"
    return page


@contextmanager
def counted(page: vw.Inspector, path: str = "") -> Iterator[list[int]]:
    """Count the forwards of a part of the model, the whole by default."""
    calls: list[int] = []
    part = page.model.module.get_submodule(path)
    handle = part.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        yield calls
    finally:
        handle.remove()


def test_statistics_and_first_order_are_those_of_the_probes(page: vw.Inspector):
    """Breaks when a number of the page is of another statistic, layer, head, image or target."""
    image = SCENES[1].image
    page.image_index = 1
    assert page.wait(60)
    cache = vw.capture(page.model, image)
    found = vw.probes.head_statistics(cache)
    for name in ("entropy", "distance", "self_mass", "prefix_mass"):
        np.testing.assert_allclose(page.number(name), getattr(found, name), rtol=1e-5)
    hops = vw.probes.hop_profile(cache).sums
    np.testing.assert_allclose(unpack(page.heads_statistics["hops"]), hops, rtol=1e-5)
    gradients = vw.probes.head_gradients(page.model, image)
    np.testing.assert_allclose(page.number("first_order"), gradients.values, rtol=1e-4, atol=1e-6)
    assert page.heads_importance["words"] == gradients.targets[0].words
    patterns = vw.probes.head_patterns(cache, k=4)
    assert page.heads_patterns["labels"] == patterns.labels.tolist()
    np.testing.assert_allclose(unpack(page.heads_patterns["places"]), patterns.places, rtol=1e-4)
    maps = unpack(page.heads_patterns["maps"])
    weights = cache.attention[4].weights(head=3)[1:, 1:]
    edges = np.floor(np.arange(33) * 144 / 32 + 0.5).astype(int)
    small = [
        [144 * weights[top:bottom, left:right].mean() for left, right in pairwise(edges)]
        for top, bottom in pairwise(edges)
    ]
    np.testing.assert_allclose(maps[4 * 6 + 3], small, rtol=1e-4)  # 1 is even attention


def test_the_object_counts_as_soon_as_it_is_drawn(page: vw.Inspector):
    """Breaks when the mask of the page does not reach the statistic, or lies elsewhere."""
    assert np.isnan(page.number("mask_mass")).all()
    assert "draw one" in page.heads_statistics["reasons"]["mask_mass"]
    mask = np.zeros((12, 12), bool)
    mask[3:7, 4:9] = True
    page.token_mask = {"image_index": 0, "values": mask}
    assert page.wait(60)
    cache = vw.capture(page.model, SCENES[0].image)
    keys = np.flatnonzero(mask.ravel()) + 1
    by_hand = [one.weights()[..., keys].sum(-1).mean(-1) for one in cache.attention]
    np.testing.assert_allclose(page.number("mask_mass"), by_hand, rtol=1e-4)
    assert "mask_mass" not in page.heads_statistics["reasons"]


def test_exact_importance_is_the_probes_and_costs_what_it_costs_there(page: vw.Inspector):
    """Breaks when steps are lost or repeated on the worker, or other images are silenced."""
    page.heads_over = "all images"
    done(page, "exact")
    images = [one.image for one in SCENES]
    whole = vw.probes.ablate_heads(page.model, images, labels=LABELS)
    for metric in whole.metrics:
        np.testing.assert_allclose(page.number(metric), whole.metric(metric), rtol=1e-4, atol=1e-6)
    said = page.heads_importance
    assert (said["done"], said["total"]) == (6, 6)
    assert said["evaluations"] == whole.evaluations
    assert said["forwards"] <= 0.65 * 36 * 3 + 3
    assert said["agreement"] > 0.8
    with counted(page) as forwards:
        done(page, "exact")
    assert not forwards  # it is known


def test_a_screen_silences_a_tenth_and_leaves_the_rest_open(page: vw.Inspector):
    """Breaks when the screen silences other heads than the first by first order."""
    done(page, "screen")
    exact = page.number("logit")
    chosen = {tuple(map(int, one)) for one in np.argwhere(np.isfinite(exact))}
    first = np.abs(page.number("first_order"))
    assert chosen == {
        tuple(map(int, np.unravel_index(at, (6, 6)))) for at in (-first).argsort(None)[:3]
    }
    whole = vw.probes.ablate_heads(page.model, SCENES[0].image).metric("logit")
    for head in chosen:
        assert exact[head] == pytest.approx(whole[head], rel=1e-4, abs=1e-6)
    assert page.heads_importance["forwards"] < 4


def test_the_curve_ends_where_heads_are_gone_and_its_order_is_the_tables(page: vw.Inspector):
    """Breaks when the curve is of another order, or not of the images that were asked for."""
    page.heads_over = "all images"
    done(done(page, "exact"), "curve")
    curve = page.heads_curve
    images = [one.image for one in SCENES]
    whole = vw.probes.ablate_heads(page.model, images)
    probe = vw.probes.pruning_curve(
        page.model, images, whole.metric("logit"), steps=18, labels=LABELS
    )
    values = unpack(curve["values"])
    np.testing.assert_allclose(values, np.moveaxis(probe.values, -1, 1), rtol=1e-3, atol=1e-5)
    assert (curve["by"], curve["images"], curve["counts"][-1]) == ("logit", 3, 36)
    table = page.importance_table()
    assert list(table["removed_as"]) == list(range(36))
    assert list(zip(table["layer"], table["head"], strict=True)) == whole.ranked()
    assert {"entropy", "first_order", "logit", "pattern"} <= set(table.columns)


def test_a_stop_keeps_what_there_is_and_the_next_run_goes_on(page: vw.Inspector, monkeypatch):
    """Breaks when Stop waits for the end, loses what was measured, or leaves a hook behind."""
    monkeypatch.setattr(desk_of_heads, "_PATIENCE", -1.0)
    stopped: list[int] = []

    def stop(change: dict) -> None:
        if change["new"]["done"] == 2 and page.heads_running:
            stopped.append(change["new"]["done"])
            page.heads_running = ""

    page.observe(stop, "heads_importance")
    before = page.model.predict(SCENES[0].image)
    done(page, "exact")
    assert stopped == [2]
    said = page.heads_importance
    assert (said["done"], said["total"]) == (2, 6)
    known = np.isfinite(page.number("logit"))
    assert known[:2].all()
    assert not known[2:].any()
    assert not any(part._forward_hooks for part in page.model.module.modules())
    np.testing.assert_array_equal(page.model.predict(SCENES[0].image), before)
    page.unobserve(stop, "heads_importance")
    seen: list[int] = []
    page.observe(lambda change: seen.append(change["new"]["done"]), "heads_importance")
    done(page, "exact")
    assert seen[0] >= 2  # not from the beginning
    assert seen[-1] == 6
    whole = vw.probes.ablate_heads(page.model, SCENES[0].image).metric("logit")
    np.testing.assert_allclose(page.number("logit"), whole, rtol=1e-4, atol=1e-6)


def test_a_curve_is_stopped_between_two_of_its_steps(page: vw.Inspector, monkeypatch):
    """Breaks when Stop waits for the end of the curve, or half of one is shown as a whole."""
    monkeypatch.setattr(desk_of_heads, "_PATIENCE", -1.0)

    def stop(change: dict) -> None:
        if 0 < change["new"].get("done", 0) < 38:
            page.heads_running = ""

    page.observe(stop, "heads_curve")
    done(page, "curve")
    assert page.heads_curve["done"] == 1
    assert page.heads_curve["note"] == "stopped before the first images"
    assert not page.heads_curve["values"]
    page.unobserve_all("heads_curve")
    done(page, "curve")
    assert page.heads_curve["done"] == page.heads_curve["total"]
    assert page.heads_curve["note"] == ""


def test_another_class_is_another_answer(page: vw.Inspector):
    """Breaks when the target does not reach the probes, or an answer of another class stays."""
    done(page, "exact")
    page.explained = 7
    assert page.wait(60)
    said = page.heads_importance
    assert said["explained"] == 7
    assert said["done"] == 0
    assert said["words"].startswith("class 7")
    gradients = vw.probes.head_gradients(page.model, SCENES[0].image, 7)
    np.testing.assert_allclose(page.number("first_order"), gradients.values, rtol=1e-4, atol=1e-6)
    done(page, "exact")
    whole = vw.probes.ablate_heads(page.model, SCENES[0].image, 7).metric("logit")
    np.testing.assert_allclose(page.number("logit"), whole, rtol=1e-4, atol=1e-6)
    page.explained = None
    assert page.wait(60)
    assert page.heads_importance["done"] == 6  # what was measured is held
    with pytest.raises(Exception, match="class 12 is out of range: valid are 0 to 11"):
        page.explained = 12


def test_heads_are_measured_by_any_target(page: vw.Inspector):
    """Breaks when a margin, a likeness or a function reaches the probes as something else."""
    image, other = (page.model.batch(scene.image) for scene in SCENES[:2])

    def difference(scores):
        return scores[0, 4] - scores[0, 2]

    for explained, target in (
        (("margin", 4, 2), ("margin", 4, 2)),
        (("embedding", 1), ("embedding", other)),
        (difference, difference),
    ):
        page.explained = explained
        assert page.wait(60)
        wanted = vw.probes.head_gradients(page.model, image, target)
        assert page.heads_importance["words"] == wanted.targets[0].words
        np.testing.assert_allclose(page.number("first_order"), wanted.values, rtol=1e-4, atol=1e-6)


def test_numbers_that_are_there_run_nothing(page: vw.Inspector):
    """Breaks when a statistic, a layer, a query or a cluster count runs the model."""
    with counted(page) as forwards:
        for change in (
            {"heads_number": "distance"}, {"heads_up": "entropy"}, {"layer": 1, "head": 2},
            {"query": 40}, {"heads_k": 3}, {"heads_selected": [(1, 2), (1, 4), (3, 0)]},
        ):  # fmt: skip
            for name, value in change.items():
                setattr(page, name, value)
            assert page.wait(60)
        assert page.heads_map["query"] == 40
        assert page.heads_patterns["k"] == 3
        assert page.heads == [2, 4]
    assert not forwards


def opened(model: torch.nn.Module, images: torch.Tensor, **view: object) -> vw.Inspector:
    """Open the tab of another model, and wait for all that it can say."""
    page = vw.inspect(model, images, tab="heads", **view)
    assert page.wait(60)
    assert page.status["state"] == "ready"
    return page


def no_gradient(model: torch.nn.Module) -> Callable[..., torch.Tensor]:
    """Wrap a forward so that nothing can be differentiated."""
    return lambda module, images: torch.no_grad()(module)(images)


def test_without_gradients_or_scores_the_rest_goes_on():
    """Breaks when one refusal takes statistics along, or says nothing."""
    cache = tiny_cache()
    model = vw.load(cache.model.module, forward=no_gradient(cache.model.module))
    page = opened(model, cache.images)
    assert "gradient" in page.heads_importance["reasons"]["first_order"]
    assert np.isfinite(page.number("entropy")).all()
    done(page, "exact")  # silencing needs no gradient
    assert np.isfinite(page.number("logit")).all()
    done(page, "screen")
    assert page.heads_importance["run"] == "exact"


def test_only_layers_without_windows_are_compared_by_their_maps():
    """Breaks when attention in windows is compared as if it were of all patches."""
    swin = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=56, window_size=7, embed_dim=12, depths=(1, 1),
        num_heads=(2, 4), num_classes=3, pretrained=False,
    ).eval()  # fmt: skip
    page = opened(swin, torch.rand(1, 3, 56, 56))
    assert np.isnan(page.number("entropy")).tolist() == [[False, False, True, True], [False] * 4]
    assert "1 of 2 layers" in page.heads_patterns["note"]
    assert {layer for layer, _ in page.heads_patterns["of"]} == {1}  # the first has four windows
    assert np.isfinite(page.number("first_order")[1]).all()


def test_a_model_without_attention_says_so():
    """Breaks when nothing to look at ends as an error."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    page = vw.inspect(net, torch.rand(1, 3, 32, 32), tab="heads")
    assert page.wait(60)
    assert page.status["state"] == "cannot"
    assert "no attention" in page.heads_statistics["reasons"]["entropy"]
    assert page.heads_importance["reasons"]["first_order"]
    with pytest.raises(ValueError, match="nothing is measured yet"):
        page.importance_table()
