"""The sheets are what they say, and stripedness is high for stripes and for nothing else."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vit_widgets import demo
from vit_widgets.demo import STRIPED, scenes, sheets, stripedness
from vit_widgets.demo.textures import COLOURS, TEXTURES
from vit_widgets.probes.scene_truth import printed_parts


def bars(width: float, degrees: float = 0.0, side: int = 144) -> np.ndarray:
    """Draw black and white bars: (side, side, 3) float in 0..1, `width` pixels a pair."""
    y, x = np.mgrid[:side, :side]
    turn = np.radians(degrees)
    black = (x * np.cos(turn) + y * np.sin(turn)) % width < width / 2
    return np.repeat(black[..., None].astype(float), 3, axis=2)


# -- sheets --------------------------------------------------------------------------------------


def test_sheets_are_the_same_from_a_seed_and_differ_between_seeds():
    """Breaks when a sheet draws from a stream that it shares, or ignores its seed."""
    few, many, other = sheets(5, seed=3), sheets(12, seed=3), sheets(5, seed=4)
    for a, b in zip(few, many, strict=False):
        assert a.image.tobytes() == b.image.tobytes()
    assert len({sheet.image.tobytes() for sheet in (*many, *other)}) == 17
    assert few[0].image.shape == (144, 144, 3)
    assert few[0].image.dtype == np.uint8


def test_a_sheet_shows_its_colour_and_varies_where_it_is_printed():
    """Breaks when the colour or the texture of a sheet is not the one that it names."""
    for sheet in sheets(15, seed=5):
        levels = sheet.image.reshape(-1, 3) / 255
        own = COLOURS[sheet.colour].ravel()
        assert np.abs(levels - own).sum(axis=1).min() < 0.06
        assert (levels.std(axis=0).max() < 0.02) == (sheet.texture == "plain")
    assert [sheet.texture for sheet in sheets(10)] == [*TEXTURES, *TEXTURES]


# -- the measure ---------------------------------------------------------------------------------


def test_stripes_of_any_direction_width_and_colour_are_striped():
    """Breaks when the measure knows one direction, one width, or looks at grey levels only."""
    for degrees in (0, 17, 45, 90, 130):
        for width in (6, 9, 12, 16):
            assert stripedness(bars(width, degrees)) > STRIPED
    red_and_cyan = bars(12)
    red_and_cyan[..., 1:] = 1 - red_and_cyan[..., 1:]
    assert stripedness(red_and_cyan) == pytest.approx(stripedness(bars(12)))
    assert stripedness(np.uint8(bars(12) * 255)) == pytest.approx(stripedness(bars(12)))


def test_what_is_no_stripes_is_not_striped():
    """Breaks when an edge, noise, a grid or a flat picture passes for stripes."""
    edge = np.zeros((144, 144, 3))
    edge[:, 72:] = 1
    noise = np.random.default_rng(0).random((144, 144, 3))
    plaid = (bars(12) + bars(12, 90)) / 2
    for picture in (edge, noise, plaid):
        assert stripedness(picture) < STRIPED
    assert stripedness(noise) < 0.3
    assert stripedness(np.full((144, 144, 3), 0.5)) == pytest.approx(0, abs=1e-9)
    faint = 0.5 + 0.004 * (bars(12) - 0.5)
    assert stripedness(faint) < 0.1  # one level of 255: nobody sees it


def test_the_measure_tells_striped_sheets_from_all_others():
    """Breaks when `STRIPED` no longer lies between stripes and the most like of the others."""
    drawn = sheets(50, seed=7)
    measured = np.array([stripedness(sheet.image) for sheet in drawn])
    striped = np.array([sheet.texture == "stripes" for sheet in drawn])
    assert measured[striped].min() > STRIPED + 0.04  # of 400 sheets: 0.77
    assert measured[~striped].max() < STRIPED - 0.04  # 0.61


def test_the_measure_tells_striped_objects_on_scenes():
    """Breaks when it works on paper only; AUC 0.93 over 240 scenes, chance 0.5."""
    drawn = scenes(60, seed=5)
    measured = [
        stripedness(
            scene.image,
            np.any(
                [
                    scene.parts[part]
                    for part in printed_parts(scene.attributes["object"])
                    if part in scene.parts
                ],
                axis=0,
            ),
        )
        for scene in drawn
    ]
    striped = [scene.attributes["texture"] == "stripes" for scene in drawn]
    assert 5 < sum(striped) < 25
    assert roc_auc_score(striped, measured) > 0.85


def test_a_mask_leaves_the_rest_out():
    """Breaks when what lies outside the mask is measured too."""
    picture = np.random.default_rng(1).random((144, 144, 3))
    picture[:, :72] = bars(12)[:, :72]
    left = np.zeros((144, 144), bool)
    left[:, :72] = True
    assert stripedness(picture, left) > STRIPED > stripedness(picture, ~left)


def test_bad_input_is_refused_in_a_sentence():
    """Breaks when a picture that cannot be measured gives a number."""
    with pytest.raises(ValueError, match=r"sides of at least 48 pixels"):
        stripedness(np.zeros((40, 144, 3)))
    with pytest.raises(ValueError, match=r"it takes \(height, width, 3\)"):
        stripedness(np.zeros((144, 144)))
    with pytest.raises(ValueError, match="at least one pixel"):
        stripedness(np.zeros((144, 144, 3)), np.zeros((144, 144), bool))
    assert demo.stripedness is stripedness
