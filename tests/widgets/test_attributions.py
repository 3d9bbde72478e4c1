"""Attributions with plain arrays: no model, pictures without a page, and a table."""

import numpy as np
import pytest
import traitlets

import vit_widgets as vw

IMAGE = np.full((8, 8, 3), 200, np.uint8)


def test_the_picture_without_a_page_shows_the_map():
    """Breaks when a map lies elsewhere on the PNG, or a map of nothing raises."""
    page = vw.Attributions(layer_labels=["block 0"], image=IMAGE, opacity=1.0, drawing="patches")
    assert page.picture() is None
    page.attribution = {"image_index": 0, "method": "mine", "values": [[1.0, 0.0], [0.0, 0.0]]}
    pixels = np.asarray(page.picture()).astype(int)
    assert pixels[10, 10].tolist() != pixels[300, 300].tolist()
    assert pixels[10, 300].tolist() == pixels[300, 10].tolist()
    for flat in (np.nan, 0.0, 1.0):
        page.attribution = {"image_index": 0, "values": np.full((2, 2), flat)}
        drawn = np.asarray(page.picture())
        assert (drawn == drawn[0, 0]).all()


def test_scores_are_a_table():
    """Breaks when a score stands in another map's row, or what is not measured is 0."""
    page = vw.Attributions()
    assert len(page.faithfulness_table()) == 0
    page.attribution_curves = {
        "image_index": 0,
        "names": ["mine", "random map"],
        "scores": [{"abpc": 0.5, "iou": np.nan}, {"abpc": 0.1}],
    }
    table = page.faithfulness_table()
    assert table["abpc"].tolist() == [0.5, 0.1]
    assert table["iou"].isna().all()
    assert table.index.name == "map"
    page.attribution_curves = {
        "image_index": 0,
        "over": "all images",
        "names": ["mine", "random map"],
        "scores": [{"abpc": 0.5, "iou": 0.4}, {"abpc": 0.1}],
        "ends": [{"abpc": [0.4, 0.6]}, {}],
    }
    table = page.faithfulness_table()
    assert list(table.columns) == ["abpc", "abpc_low", "abpc_high", "iou"]
    assert table.loc["mine"].tolist() == [0.5, 0.4, 0.6, 0.4]
    assert page.attribution_curves["scores"][0] == {"abpc": 0.5, "iou": 0.4}  # as it was


@pytest.mark.parametrize(
    "wrong",
    [
        {"attribution_over": "some images"},
        {"explained": -1},
        {"attribution_measures": ["deletion"]},
        {"attribution_step": -2},
        {"attribution": {"image_index": 0, "values": np.zeros(4)}},
        {"attribution_list": {"methods": []}},
    ],
)
def test_what_is_none_is_refused(wrong: dict):
    """Breaks when a value that there is not reaches the page."""
    with pytest.raises(traitlets.TraitError):
        vw.Attributions(**wrong)
