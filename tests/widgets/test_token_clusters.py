"""Clusters with plain arrays: no model, and a picture without a page."""

import numpy as np
import pytest
import traitlets

import vit_widgets as vw
from vit_widgets.widgets.wire import unpack

IMAGE = np.full((8, 8, 3), 200, np.uint8)
LABELS = np.array([[0, 1], [-1, -2]])


def page(**more: object) -> vw.TokenClusters:
    """Four patches: two clusters, noise, and one that takes no part."""
    made = vw.TokenClusters(layer_labels=["block 0"], image=IMAGE, opacity=1.0, **more)
    made.clusters = {"layer": 0, "image_index": 0, "labels": LABELS}
    return made


def test_labels_travel_as_they_are():
    """Breaks when noise and what takes no part are not told apart on the way."""
    assert unpack(page().clusters["labels"]).tolist() == LABELS.tolist()


def test_the_picture_without_a_page_is_painted():
    """Breaks when a patch has another's colour, or one that takes no part is covered."""
    pixels = np.asarray(page().picture())
    assert pixels[1, 1].tolist() == [0, 114, 178]
    assert pixels[1, 6].tolist() == [230, 159, 0]
    assert pixels[6, 6].tolist() == [200, 200, 200]
    assert pixels[6, 1].tolist() == [24, 27, 32]
    assert vw.TokenClusters(image=IMAGE).picture() is None


def test_the_altered_version_lies_under_its_clusters():
    """Breaks when the picture of one version has the clusters of another."""
    made = page(clusters_version="shuffled")
    other = np.full((1, 8, 8, 3), 50, np.uint8)
    made.clusters_picture = {"image_index": 0, "version": "shuffled", "pixels": other}
    assert np.asarray(made.picture())[6, 6].tolist() == [50, 50, 50]


@pytest.mark.parametrize(
    "wrong",
    [
        {"clusters_version": "mirrored"},
        {"clusters_compared": ["original"]},
        {"clusters_of": "heads"},
        {"clusters_reach": 0},
        {"clusters_dropped": 1.5},
        {"clusters": {"layer": 0, "image_index": 0, "labels": np.zeros(4)}},
        {"clusters_curves": {"versions": ["original"]}},
    ],
)
def test_what_is_none_is_refused(wrong: dict):
    """Breaks when a version or a number that there is not reaches the page."""
    with pytest.raises(traitlets.TraitError):
        vw.TokenClusters(**wrong)
