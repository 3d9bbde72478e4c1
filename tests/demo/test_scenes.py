"""The scenes are what they say: same from a seed, true to their masks, honest in their rates."""

import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from vit_widgets import demo
from vit_widgets.demo import BACKGROUNDS, CLASSES, Scene, draw, plans, scenes
from vit_widgets.demo.objects import OBJECTS
from vit_widgets.demo.scenes import HABITS
from vit_widgets.demo.shapes import box, capsule, circle, ellipse, merged, moved, polygon, ring
from vit_widgets.demo.textures import PAINTS, TEXTURES, pattern

KINDS = ("independent", "correlated", "swapped")


def within(count: int, n: int, p: float, sigmas: float = 4.5) -> bool:
    """Tell whether `count` of `n` is what probability `p` gives, but for 1 in 100 000 times."""
    return abs(count - n * p) <= sigmas * math.sqrt(n * p * (1 - p)) + 0.5


def core(mask: np.ndarray) -> np.ndarray:
    """Take two pixels off the outline, which is softened and so shows a little of the ground."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(mask, 2), (5, 5))
    return windows.all((2, 3))


@pytest.fixture(scope="module")
def several() -> list[Scene]:
    """Every class three times, before backgrounds of all kinds."""
    return scenes(3 * len(CLASSES), seed=11)


# -- From a seed -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_same_bytes_from_a_seed_whatever_n(kind: str):
    """Breaks when a scene draws from a stream that it shares with other scenes or calls."""
    few, many = scenes(3, seed=5, background=kind), scenes(15, seed=5, background=kind)
    for a, b in zip(few, many, strict=False):
        assert a.image.tobytes() == b.image.tobytes()
        assert a.mask.tobytes() == b.mask.tobytes()
        assert a.attributes == b.attributes
        assert a.box == b.box
        assert all(np.array_equal(a.parts[name], b.parts[name]) for name in b.parts)


def test_seeds_and_scenes_differ():
    """Breaks when a seed or an index is ignored."""
    pictures = [s.image.tobytes() for seed in (0, 1, 2) for s in scenes(4, seed)]
    assert len(set(pictures)) == len(pictures)


def test_sets_of_one_seed_differ_in_the_background_only():
    """Breaks when choosing the background moves the stream that decides on the object."""
    for one, other in zip(
        *(plans(60, 3, kind) for kind in ("independent", "swapped")), strict=True
    ):
        assert replace(one, background="") == replace(other, background="")


def test_a_plan_can_be_edited():
    """Breaks when the object of a plan is drawn in another way before another background."""
    plan = plans(1, seed=4)[0]
    here, there = (draw(replace(plan, background=b)) for b in ("night", "meadow"))
    assert np.array_equal(here.mask, there.mask)
    gap = np.abs(here.image.astype(int) - there.image)
    assert (gap[core(here.mask)] == 0).mean() > 0.98  # the ground glints through a seam at most
    assert gap[~here.mask].mean() > 20


# -- Pictures and what is said of them -------------------------------------------------------------


def test_scene_types_and_shapes(several: list[Scene]):
    """Breaks when an array changes its shape or type, or a label leaves the classes."""
    for scene in several:
        assert scene.image.shape == (144, 144, 3)
        assert scene.image.dtype == np.uint8
        assert scene.image.flags.c_contiguous
        assert scene.mask.shape == (144, 144)
        assert scene.mask.dtype == bool
        assert CLASSES[scene.label] == scene.attributes["object"]
        assert scene.attributes["background"] in BACKGROUNDS
        assert scene.attributes["texture"] in TEXTURES
    assert Counter(s.label for s in several) == dict.fromkeys(range(len(CLASSES)), 3)
    assert len(CLASSES) >= 10
    assert len(BACKGROUNDS) >= 5


def test_parts_are_disjoint_and_make_up_the_mask(several: list[Scene]):
    """Breaks when a covered part keeps the pixels of the part above it, or one is left out."""
    for scene in several:
        stack = np.stack(list(scene.parts.values()))
        assert stack.dtype == bool
        assert np.array_equal(stack.sum(0), scene.mask)


def test_every_part_of_every_class_is_seen(several: list[Scene]):
    """Breaks when a part lies wholly below another or outside the picture."""
    for scene in several:
        name = CLASSES[scene.label]
        assert len(scene.parts) >= 3
        for part, pixels in scene.parts.items():
            assert pixels.sum() >= 12, f"{part} of {name} shows {pixels.sum()} pixels"


def test_box_is_the_smallest_around_the_mask(several: list[Scene]):
    """Breaks when the box is off by one, or its sides change places."""
    for scene in several:
        x0, y0, x1, y1 = scene.box
        assert scene.mask[y0:y1, x0:x1].sum() == scene.mask.sum()
        for side in (scene.mask[y0], scene.mask[y1 - 1], scene.mask[:, x0], scene.mask[:, x1 - 1]):
            assert side.any()


def test_object_is_whole_and_large_enough():
    """Breaks when objects are cut off by the frame, or shrink below a few patches."""
    for scene in scenes(2 * len(CLASSES), seed=12):
        rim = np.concatenate([scene.mask[[0, -1]].ravel(), scene.mask[:, [0, -1]].ravel()])
        assert rim.mean() < 0.05
        assert 0.05 < scene.mask.mean() < 0.5


def test_object_stands_out_from_its_background(several: list[Scene]):
    """Breaks when objects are painted in the colours of the ground, or not painted at all."""
    contrast = []
    for scene in several:
        x0, y0, x1, y1 = scene.box
        around = ~scene.mask[y0:y1, x0:x1]
        pixels = scene.image[y0:y1, x0:x1].astype(float)
        ground = pixels[around].mean(0)
        contrast.append(np.abs(pixels[~around] - ground).mean())
    assert min(contrast) > 15
    assert np.mean(contrast) > 40


def test_mask_follows_the_pixels():
    """Breaks when the mask is shifted against the picture: the change of ground shows outside."""
    for plan in plans(len(CLASSES), seed=13):
        first, second = (draw(replace(plan, background=b)) for b in ("wood", "night"))
        changed = np.abs(first.image.astype(int) - second.image).max(2) > 25
        assert (changed == ~first.mask).mean() > 0.97


def test_distractors_lie_behind():
    """Breaks when a distractor covers the object."""
    plan = plans(1, seed=14)[0]
    without, with_four = (draw(replace(plan, distractors=k)) for k in (0, 4))
    assert np.array_equal(without.mask, with_four.mask)
    gap = np.abs(without.image.astype(int) - with_four.image)
    assert (gap[core(without.mask)] == 0).mean() > 0.98
    assert (gap[~without.mask].max(1) > 60).sum() > 100


# -- Rates -----------------------------------------------------------------------------------------


def test_correlated_rate_is_the_one_asked_for():
    """Breaks when `correlation` is ignored, or counts chance agreement on top of itself."""
    for asked in (0.0, 0.5, 0.8, 1.0):
        drawn = plans(600, seed=21, background="correlated", correlation=asked)
        habitual = sum(p.background == HABITS[p.object] for p in drawn)
        assert within(habitual, 600, asked), (asked, habitual)


def test_independent_background_says_nothing():
    """Breaks when the background leans on the class: all backgrounds, equally often, in each."""
    drawn = plans(1200, seed=22)
    chance = 1 / len(BACKGROUNDS)
    habitual = sum(p.background == HABITS[p.object] for p in drawn)
    assert within(habitual, 1200, chance)
    for name in CLASSES:
        of_class = [p.background for p in drawn if p.object == name]
        for background in BACKGROUNDS:
            assert within(of_class.count(background), len(of_class), chance)


def test_swapped_background_is_never_the_habitual_one():
    """Breaks when an object may keep its own ground, or is put where no class is at home."""
    drawn = plans(600, seed=23, background="swapped")
    assert all(p.background != HABITS[p.object] for p in drawn)
    assert {p.background for p in drawn} == set(BACKGROUNDS)
    assert set(HABITS) == set(CLASSES)
    assert set(HABITS.values()) == set(BACKGROUNDS)  # so every ground is some other class's habit


def test_looks_do_not_give_the_class_away():
    """Breaks when colour or texture depends on the class: each must be seen in many."""
    drawn = plans(1200, seed=24)
    for name in CLASSES:
        of_class = [p for p in drawn if p.object == name]
        for texture in TEXTURES:
            count = sum(p.texture == texture for p in of_class)
            assert within(count, len(of_class), 1 / len(TEXTURES))
        assert len({p.colour for p in of_class}) == 8
        assert within(sum(p.flipped for p in of_class), len(of_class), 0.5)


@pytest.mark.parametrize("arguments", [{"background": "random"}, {"correlation": 1.2}])
def test_impossible_requests_are_refused(arguments: dict):
    """Breaks when a misspelt kind of background quietly gives another kind."""
    with pytest.raises(ValueError, match=next(iter(arguments))):
        scenes(1, **arguments)


# -- Drawing primitives ----------------------------------------------------------------------------


def test_distances_are_signed_and_true():
    """Breaks when a sign flips or a scale creeps in: checked against distances known by hand."""
    x, y = np.meshgrid(np.linspace(-2, 2, 81), np.linspace(-2, 2, 81))
    p = (x, y)
    square = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
    assert np.allclose(polygon(p, square), box(p, (0, 0), (1, 1)), atol=1e-6)
    assert np.allclose(ellipse(p, (0, 0), (1, 1)), circle(p, (0, 0), 1), atol=1e-3)
    assert np.allclose(ring(p, (0, 0), 1, 0.5), np.abs(np.hypot(x, y) - 1) - 0.25, atol=1e-6)
    assert np.isclose(capsule((np.array([0.0]), np.array([1.5])), (-1, 0), (1, 0), 0.5), 1.0)
    assert (merged(circle(p, (-0.5, 0), 1), circle(p, (0.5, 0), 1), blend=0.3) <= 0).sum() > (
        merged(circle(p, (-0.5, 0), 1), circle(p, (0.5, 0), 1)) <= 0
    ).sum()
    right, down = moved((np.array([0.0]), np.array([1.0])), (0, 0), 90)
    assert np.allclose([right, down], [[1.0], [0.0]], atol=1e-6)  # turned clockwise: down is ahead


def test_paints_and_patterns_exist():
    """Breaks when an object asks for a paint that is not mixed, or a pattern leaves 0..1."""
    p = tuple(np.float32(a) for a in np.meshgrid(np.linspace(-1, 1, 50), np.linspace(-1, 1, 50)))
    for build in OBJECTS.values():
        for form in (0.0, 0.5, 1.0):
            assert {layer.paint for layer in build(p, form)} <= {*PAINTS, "main", "second"}
    for texture in TEXTURES:
        share = pattern(texture, p, 0.02)
        assert share.min() >= 0
        assert share.max() <= 1
        assert (share.std() > 0.2) == (texture != "plain")
    with pytest.raises(ValueError, match="unknown texture"):
        pattern("tartan", p, 0.02)


# -- The front door --------------------------------------------------------------------------------


def test_sample_images_show_every_class():
    """Breaks when the dozen that a stranger sees first repeats itself."""
    pictures = demo.images()
    assert len(pictures) == 12
    assert [p.tobytes() for p in pictures] == [
        s.image.tobytes() for s in scenes(12, 0, "correlated")
    ]
    assert {p.object for p in plans(12, 0)} == set(CLASSES)


def test_scenes_need_no_torch_and_keep_their_name():
    """Breaks when drawing imports torch, or the module `scenes` hides the function `scenes`."""
    code = (
        "import sys\n"
        "from vit_widgets.demo.scenes import Scene\n"
        "from vit_widgets import demo\n"
        "demo.scenes(1), demo.images(1), demo.labels\n"
        "print('torch' in sys.modules, 'timm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
