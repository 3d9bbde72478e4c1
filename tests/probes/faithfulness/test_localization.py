"""Where a map falls: on a known mask, by hand."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

import vit_widgets as vw
from tests.probes.faithfulness.linear_model import SIZE, Linear, linear, pictures
from vit_widgets.probes import faithfulness

METRIC = ["localization"]
MASK = np.zeros(SIZE, bool)
MASK[2:4, 2:6] = True  # 8 of 48 pixels; of 2 x 2 patches (1, 1) and (1, 2)


def located(values: np.ndarray, mask: np.ndarray = MASK) -> dict[str, float]:
    """Scores of a map beside a mask."""
    return dict(faithfulness(linear(), pictures(), values, 0, METRIC, mask).scores)


def test_the_mask_itself_is_perfect_and_its_complement_the_opposite():
    """Breaks when mask and background are interchanged, or a threshold eats into the object."""
    values = MASK + np.random.default_rng(0).random(SIZE) / 100
    assert located(MASK.astype(float)) == {"pointing": 1, "iou": 1, "mass": 1}
    assert located(values)["iou"] == 1
    assert located(~MASK) == {"pointing": 0, "iou": 0, "mass": 0}


def test_scores_of_patches_are_those_worked_out_by_hand():
    """Breaks when patches are compared by number instead of by the pixels that they cover."""
    values = np.zeros((3, 4))
    values[1, 1], values[0, 0], values[2, 2], values[1, 2] = 4, 3, 2, 1
    # as large as the mask are two patches, one of them on it: 4 of 12 pixels
    assert located(values) == {
        "pointing": 1,
        "iou": pytest.approx(4 / 12),
        "mass": pytest.approx(5 / 10),
    }
    values[0, 0] = 5
    assert located(values)["pointing"] == 0


def test_only_what_speaks_for_the_class_has_a_mass():
    """Breaks when negative values are subtracted from the object's, or nothing is divided by 0."""
    values = np.where(MASK, 2.0, -1.0)
    assert located(values)["mass"] == 1
    found = faithfulness(linear(), pictures(), -np.ones(SIZE), 0, METRIC, MASK)
    assert set(found.scores) == {"pointing", "iou"}
    assert "mass: no value of the map is above 0" in found.notes


def test_it_says_so_without_a_mask_and_the_others_go_on():
    """Breaks when a measure that does not apply ends the others."""
    found = faithfulness(linear(), pictures(), MASK, 0, ["localization", "deletion"])
    assert any("give its mask" in note for note in found.notes)
    assert set(found.scores) == {"deletion"}
    empty = faithfulness(linear(), pictures(), MASK, 0, METRIC, np.zeros(SIZE, bool))
    assert any("the mask is empty" in note for note in empty.notes)


def test_the_mask_of_a_picture_goes_through_the_preprocessing_with_it():
    """Breaks when a mask is laid over the model's input without being cropped as the picture is."""
    crop = transforms.Compose([transforms.CenterCrop(SIZE), transforms.ToTensor()])
    model = vw.load(Linear().eval(), transform=crop)
    mask = np.zeros((10, 14), bool)
    mask[2:8, 3:11] = MASK
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (10, 14, 3), np.uint8))
    found = faithfulness(model, picture, MASK, 0, METRIC, mask)
    assert dict(found.scores) == {"pointing": 1, "iou": 1, "mass": 1}
    mask[0, 0] = True  # what is cut off counts no more
    assert faithfulness(model, picture, MASK, 0, METRIC, mask).scores["iou"] == 1


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (MASK.astype(int), r"the mask is int64 of shape \(6, 8\); give bool"),
        (MASK.T, "the mask is of 8 x 6 pixels, and the image of 6 x 8"),
        (MASK[None], r"the mask is bool of shape \(1, 6, 8\)"),
    ],
)
def test_a_mask_of_something_else_is_refused(mask, message):
    """Breaks when a mask is broadcast or stretched over the picture."""
    with pytest.raises(ValueError, match=message):
        faithfulness(linear(), pictures(), MASK, 0, METRIC, mask)


def test_a_random_map_points_as_often_as_the_object_is_large():
    """Breaks when the pointing game is easier, or harder, than chance says."""
    image, rng = torch.zeros(1, 3, *SIZE, dtype=torch.float64), np.random.default_rng(0)
    model = linear()
    hits = [
        faithfulness(model, image, rng.random(SIZE), 0, METRIC, MASK).scores["pointing"]
        for _ in range(200)
    ]
    assert abs(np.mean(hits) - 8 / 48) < 0.08  # three deviations
