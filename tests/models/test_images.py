"""Reading pictures, and refusing what is none."""

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from vit_widgets.models import read_images

RED = np.zeros((5, 7, 3), np.uint8)
RED[..., 0] = 255


def encoded(picture: np.ndarray) -> bytes:
    """A PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def test_every_form_of_a_picture_reads_as_the_same_pixels(tmp_path):
    """Breaks when a form loses a channel, swaps axes or rescales its values."""
    path = tmp_path / "red.png"
    path.write_bytes(encoded(RED))
    forms = {
        "path": path,
        "string": str(path),
        "bytes": path.read_bytes(),
        "PIL": Image.fromarray(RED),
        "PIL with alpha": Image.fromarray(RED).convert("RGBA"),
        "uint8": RED,
        "int64": RED.astype(np.int64),
        "float": RED.astype(np.float32) / 255,
        "RGBA": np.dstack([RED, np.full(RED.shape[:2], 255, np.uint8)]),
        "CHW uint8 tensor": torch.from_numpy(RED).permute(2, 0, 1),
    }
    for name, form in forms.items():
        [picture] = read_images(form)
        assert np.array_equal(np.asarray(picture), RED), name


def test_lists_and_batches_read_in_order(tmp_path):
    """Breaks when a list is flattened wrongly or a batch is taken for one image."""
    grey = np.full((5, 7), 9, np.uint8)
    first, second, third = read_images([RED, np.stack([RED // 2, RED // 3])])
    assert [np.asarray(p)[0, 0, 0] for p in (first, second, third)] == [255, 127, 85]
    assert np.asarray(read_images(grey)[0]).shape == (5, 7, 3)


def test_float_tensors_are_model_inputs_and_stay_untouched():
    """Breaks when a preprocessed tensor would be preprocessed twice."""
    batch = torch.randn(2, 3, 4, 4)
    first, second = read_images(batch)
    assert torch.equal(first, batch[0])
    assert torch.equal(second, batch[1])
    assert torch.equal(read_images(batch[0])[0], batch[0])


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        (b"not an image", ValueError, "cannot be read as an image"),
        (encoded(np.tile(RED, (40, 40, 1)))[:80], ValueError, "cut short or corrupt"),
        (np.zeros((0, 5, 3), np.uint8), ValueError, "is not an image"),
        (np.zeros((4, 4, 5), np.uint8), ValueError, "5 channels"),
        (np.zeros((3, 8, 9), np.uint8), ValueError, "move the channels to the last axis"),
        (np.full((4, 4, 3), np.nan), ValueError, "NaN"),
        (np.full((4, 4, 3), 7.0), ValueError, "must lie in [0, 1]"),
        (np.full((4, 4, 3), -4), ValueError, "must be uint8"),
        (torch.full((3, 4, 4), torch.nan), ValueError, "NaN"),
        (torch.zeros(4, 4), ValueError, "not a model input"),
        ([], ValueError, "no images"),
        ("no/such/file.png", FileNotFoundError, "no image file"),
        (42, TypeError, "accepted are"),
        ([RED, {"a": 1}], TypeError, "image 1"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(bad, error, says):
    """Breaks when a bad input passes, or its message no longer says what was wrong."""
    with pytest.raises(error, match=re.escape(says)):
        read_images(bad)


def test_a_file_of_no_bytes_is_refused(tmp_path):
    """Breaks when an empty file ends in an error of the image library."""
    empty = tmp_path / "empty.jpg"
    empty.touch()
    with pytest.raises(ValueError, match="cut short or corrupt"):
        read_images(empty)
