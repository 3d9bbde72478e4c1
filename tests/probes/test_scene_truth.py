"""What the scenes say of patches: masks move with the pictures, and nothing else gives it away."""

from dataclasses import replace

import numpy as np
import pytest

import vit_widgets as vw
from vit_widgets.activations import site
from vit_widgets.demo.objects import OBJECTS
from vit_widgets.demo.scenes import Plan
from vit_widgets.models import Grid, TokenAxis
from vit_widgets.probes.scene_truth import (
    Attribute,
    Question,
    of_images,
    of_patches,
    of_sheets,
    patch_shares,
    printed_parts,
)


@pytest.fixture(scope="module")
def scenes():
    """Every class twice."""
    return vw.demo.scenes(24, seed=9)


@pytest.fixture(scope="module")
def shares(scenes):
    """What the demo model's patches hold."""
    model, axis = vw.load("demo"), site("demo", 0).axis
    return [patch_shares(model, scene, axis) for scene in scenes]


def test_shares_are_the_means_of_the_masks(scenes, shares):
    """Breaks when rows and columns change places, or a mask is scaled on its way."""
    for scene, found in zip(scenes, shares, strict=True):
        assert set(found) == set(scene.parts)
        for name, mask in scene.parts.items():
            tiles = mask.reshape(12, 12, 12, 12).mean((1, 3)).ravel()
            assert np.abs(found[name] - tiles).max() < 1e-6


def test_masks_are_cropped_and_resized_like_the_pictures(scenes):
    """Breaks when a model that crops is told the truth about what it does not see."""
    model = vw.load("vit_tiny_patch16_224", pretrained=False)  # resizes to 248, crops 224
    axis = TokenAxis(197, ("class",), Grid(14, 14, (16, 16)))
    rim = np.ones((144, 144), bool)
    rim[6:-6, 6:-6] = False
    whole = replace(scenes[0], parts={"all": np.ones((144, 144), bool), "rim": rim})
    found = patch_shares(model, whole, axis)
    assert np.abs(found["all"] - 1).max() < 1e-6
    assert found["rim"].max() < 0.05
    left = np.zeros((144, 144), bool)
    left[:, :72] = True
    half = patch_shares(model, replace(whole, parts={"left": left}), axis)["left"].reshape(14, 14)
    assert (half[:, :6] > 0.99).all()
    assert (half[:, 8:] < 0.01).all()


def test_printed_parts_are_those_that_change_with_the_texture(scenes):
    """Breaks when the surface that carries the texture is not the one that is drawn with it."""
    for name in OBJECTS:
        plan = next(Plan(**s.attributes) for s in scenes if s.attributes["object"] == name)
        plain, printed = (
            vw.demo.draw(replace(plan, texture=texture)) for texture in ("plain", "checks")
        )
        changed = np.abs(plain.image.astype(int) - printed.image).max(2) > 20
        surface = np.any([printed.parts[part] for part in printed_parts(name)], axis=0)
        assert changed[surface].mean() > 0.2
        assert changed[~surface].mean() < 0.01


def test_parts_are_told_from_the_rest_of_the_same_objects(scenes, shares):
    """Breaks when a neuron of fish can pass for one of fins, or one of objects for one of eyes."""
    asked = {
        (a.kind, a.name): (question, label)
        for question in of_patches(scenes, shares, 0.25)
        for a, label in zip(question.attributes, question.labels, strict=True)
    }
    question, label = asked["part", "fins"]
    having = {s.attributes["object"] for s, among in zip(scenes, question.among, strict=True)
              if among.any()}  # fmt: skip
    assert having == {"fish", "rocket"}
    of_object = np.stack([sum(parts.values()) for parts in shares])
    assert (of_object[question.among] >= 0.25).all()
    assert 0 < label[question.among].mean() < 0.5
    question, label = asked["class", "fish"]
    assert (of_object[question.among] >= 0.25).all()
    question, label = asked["background", "water"]
    assert (of_object[question.among] == 0).all()
    question, label = asked["texture", "dots"]
    printed = {s.attributes["texture"] for s, among, one in
               zip(scenes, question.among, label, strict=True) if one[among].any()}  # fmt: skip
    assert printed == {"dots"}
    question, label = asked["object", "object"]
    assert question.among.all()
    assert (label == (of_object >= 0.25)).all()


def test_pictures_and_sheets_are_labelled_by_what_they_are(scenes):
    """Breaks when a label belongs to another picture."""
    sheets = vw.demo.sheets(10, seed=2)
    of = {"class": "object", "texture": "texture", "colour": "colour", "background": "background"}
    for question in of_images(scenes):
        for attribute, label in zip(question.attributes, question.labels, strict=True):
            truth = [s.attributes[of[attribute.kind]] == attribute.name for s in scenes]
            assert label[:, 0].tolist() == truth
            assert attribute.level == "image"
    for question in of_sheets(sheets):
        for attribute, label in zip(question.attributes, question.labels, strict=True):
            truth = [getattr(sheet, attribute.kind) == attribute.name for sheet in sheets]
            assert label[:, 0].tolist() == truth


def test_shuffled_labels_keep_together_and_keep_their_number():
    """Breaks when shuffling frees patches of one picture from each other, or draws outsiders."""
    among = np.zeros((4, 6), bool)
    among[0, :4] = among[1, :2] = among[3, :6] = True  # picture 2 does not take part
    labels = np.zeros((1, 4, 6), bool)
    labels[0, 0, 2:4] = labels[0, 2] = True  # half of picture 0, its last patches; all of 2
    question = Question((Attribute("part", "eye", "patch"),), among, labels)
    own = question.shuffled(None)
    assert own.tolist() == [[False, False, True, True, False, False] + 6 * [False]]
    seen = set()
    for seed in range(40):
        shuffled = question.shuffled(np.random.default_rng(seed))[0]
        by_picture = np.split(shuffled, [4, 6])
        marked = [part.mean() for part in by_picture]
        assert sorted(marked) == [0, 0, 0.5]  # one picture has its last half marked
        half = by_picture[marked.index(0.5)]
        assert half[len(half) // 2 :].all()
        seen.add(marked.index(0.5))
    assert seen == {0, 1, 2}
