"""Methods, pictures and models beside each other: the maps and the numbers are those of the probes,
and what one cannot do is said in its place.
"""

from typing import Any

import numpy as np
import pytest
import timm
import torch
import traitlets
from transformers import VivitConfig, VivitModel

import vit_widgets as vw
from tests.models.module_state import state_of
from vit_widgets import probes
from vit_widgets.inspector.compared_maps import cell, subject
from vit_widgets.widgets.wire import unpack


@pytest.fixture(scope="module")
def model() -> vw.VisionModel:
    """Open the bundled model once."""
    return vw.load("demo")


@pytest.fixture(scope="module")
def scenes() -> list[vw.demo.Scene]:
    """Two pictures."""
    return vw.demo.scenes(2, seed=2)


def values(table: vw.CompareMaps, row: int, column: int) -> np.ndarray:
    """Give what the page has of a map."""
    return unpack(table.compare_rows[row]["maps"][column]["values"])


def small(size: int, patch: int, seed: int = 0, **changes: Any) -> vw.VisionModel:
    """Make a small random model of pictures of one size."""
    torch.manual_seed(seed)
    settings = {"embed_dim": 16, "depth": 2, "num_heads": 2, "num_classes": 4, **changes}
    net = timm.create_model(
        "vit_tiny_patch16_224", pretrained=False, img_size=size, patch_size=patch, **settings
    )
    return vw.load(net.eval())


def test_maps_lie_at_their_picture_model_and_method(model: vw.VisionModel, scenes: list):
    """Breaks when a map stands at another picture or method, or one refusal ends all."""
    other = vw.load(model.module, transform=model.transform, labels=model.labels)
    before = state_of(model.module)
    methods = ("grad_cam", "attention_flow")
    table = vw.compare(model, scenes, methods, 3, models={"again": other})
    assert state_of(model.module) == before
    assert [(row["image_index"], row["model"]) for row in table.compare_rows] == [
        (0, 0), (0, 1), (1, 0), (1, 1),
    ]  # fmt: skip
    assert (table.title, table.compare_models) == ("demo and again", ["demo", "again"])
    words = [table.compare_words[name] for name in table.compare_methods]
    assert words == ["Grad-CAM", "Attention flow"]
    wanted = probes.grad_cam(model, scenes[1].image, 3)
    np.testing.assert_array_equal(table.maps["demo", 1, "grad_cam"].values, wanted.values)
    np.testing.assert_array_equal(values(table, 2, 0), wanted.values)
    assert table.subtitle == "2 methods × 2 images × 2 models · " + wanted.target.words
    refused = table.compare_rows[3]["maps"][1]
    assert refused["values"] == {}
    assert "too many" in refused["note"]
    assert table.compare_rows[2]["maps"][0]["target"] == wanted.target.words
    assert ("again", 0, "attention_flow") not in table.maps
    for wrong, says in (
        (("gradcam",), "there is no method 'gradcam'; the methods are rollout"),
        ((), "no method was named"),
        ({"mine": 3}, "'mine' is no function; give functions of"),
    ):
        with pytest.raises(ValueError, match=says):
            vw.compare(model, scenes, wrong)
    with pytest.raises(ValueError, match="two models are called 'demo'"):
        vw.compare(model, scenes, models={"demo": other})


def test_pixels_are_averaged_over_squares_that_make_up_whole_patches(
    model: vw.VisionModel, scenes: list
):
    """Breaks when the mean of the squares of a patch is not the mean of its pixels."""
    of = subject(model, model.each(scenes[0].image)[0])
    pixels = np.random.default_rng(0).normal(size=(144, 144)).astype(np.float32)
    found = cell(of, probes.PixelMap(pixels, (144, 144)), None)
    assert found["values"].shape == (72, 72)
    assert found["axis"]["box"] == [0.0, 0.0, 1.0, 1.0]
    np.testing.assert_allclose(
        found["values"].reshape(12, 6, 12, 6).mean(axis=(1, 3)),
        pixels.reshape(12, 12, 12, 12).mean(axis=(1, 3), dtype=np.float64),
        rtol=1e-5,
        atol=1e-7,
    )


def test_a_map_of_other_places_says_where_they_are():
    """Breaks when a grid that leaves a border is stretched over the picture."""
    held = small(56, 16)  # 3 patches and 8 pixels that none holds
    table = vw.compare(held, torch.rand(1, 3, 56, 56), ("rollout", "saliency"))
    row = table.compare_rows[0]
    assert row["axis"]["box"] == [0.0, 0.0, 48 / 56, 48 / 56]
    assert [one["axis"]["box"] for one in row["maps"]] == 2 * [row["axis"]["box"]]
    assert values(table, 0, 1).shape == (48, 48)
    assert unpack(row["picture"]).shape == (56, 56, 3)


def test_models_of_other_sizes_and_pictures_that_one_cannot_take():
    """Breaks when one picture that does not suit a model ends the comparison."""
    first, second = small(32, 8), small(48, 16, seed=1)
    table = vw.compare(
        first, [torch.rand(3, 32, 32)], ("rollout", "grad_cam"), models={"larger": second}
    )
    assert set(table.maps) == {(first.name, 0, "rollout"), (first.name, 0, "grad_cam")}
    row = table.compare_rows[1]
    assert row["picture"] == {}
    assert all("cannot take this picture" in one["note"] for one in row["maps"])
    photos = [np.zeros((40, 60, 3), np.uint8), np.full((90, 50, 3), 9, np.uint8)]
    table = vw.compare(first, photos, ("rollout",), models={"larger": second})
    sizes = [unpack(row["picture"]).shape[:2] for row in table.compare_rows]
    assert sizes == [(32, 32), (48, 48)] * 2
    assert len(table.maps) == 4
    assert values(table, 1, 0).shape == (3, 3)


def test_a_function_that_makes_no_map_is_told_what_to_return(model: vw.VisionModel, scenes: list):
    """Breaks when a fault of one method hides its reason, or hides the other methods."""

    def faulty(_model: object, _image: object, _target: object) -> None:
        {}["layer"]

    methods = {
        "a list": lambda _model, _image, _target: [1, 2],
        "an array": lambda _model, _image, _target: np.zeros((2, 3)),
        "of another size": lambda *_: probes.PixelMap(np.zeros((2, 2)), (144, 144)),
        "faulty": faulty,
        "flat": lambda *_: probes.PixelMap(np.zeros((144, 144), np.float32), (144, 144)),
    }
    table = vw.compare(model, scenes[:1], methods)
    notes = [one["note"] for one in table.compare_rows[0]["maps"]]
    assert notes[0].startswith("a list returned a list, which is no map; return a PatchMap or a")
    assert notes[1].startswith("an array returned a ndarray of shape (2, 3), which is no map")
    assert "whose values are (2, 2) where (144, 144) belong" in notes[2]
    assert notes[3] == "KeyError: 'layer'"
    assert notes[4] == "the map is zero everywhere: it tells no place from another"
    assert list(table.maps) == [("demo", 0, "flat")]


def test_faithfulness_is_that_of_the_probe_and_of_a_random_map():
    """Breaks when an area is of another map, target or patches, or a mean of other pictures."""
    held = small(32, 8)
    pictures = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    methods = {"rollout": probes.ATTRIBUTIONS["rollout"], "faulty": lambda *_: 1 / 0}
    table = vw.compare(held, pictures, methods, 2, faithfulness=True)
    areas: dict[str, list[float]] = {"rollout": [], "random map": []}
    for at, picture in enumerate(pictures):
        maps = {
            "rollout": table.maps[held.name, at, "rollout"],
            "random map": probes.random_map(held, picture[None], seed=at),
        }
        for name, one in maps.items():
            found = probes.faithfulness(held, picture[None], one, 2, ("abpc",), seed=at)
            areas[name].append(found.scores["abpc"])
            assert table.faithfulness[held.name, at, name].scores == found.scores
        assert table.compare_rows[at]["maps"][0]["area"] == areas["rollout"][-1]
        assert table.compare_rows[at]["maps"][1]["area"] is None
    [of_model] = table.compare_means
    mean, low, high, count = of_model["means"][0]
    assert (mean, count) == (pytest.approx(np.mean(areas["rollout"])), 3)
    assert min(areas["rollout"]) <= low <= mean <= high <= max(areas["rollout"])
    assert of_model["means"][1] == [None, None, None, 0]
    assert of_model["random"][0] == pytest.approx(np.mean(areas["random map"]))
    found = table.faithfulness_table()
    assert list(found.index) == [(held.name, "rollout"), (held.name, "random map")]
    assert found.loc[(held.name, "rollout"), "mean"] == mean
    assert "faithfulness=True" in table.code
    with pytest.raises(ValueError, match="nothing was measured; ask for it"):
        vw.compare(held, pictures[:1], "rollout").faithfulness_table()


def test_the_keyboard_ends_it_and_what_was_made_stays(model: vw.VisionModel, scenes: list):
    """Breaks when an interrupted comparison is lost, or does not say what is missing."""
    made = []

    def interrupted(model: vw.VisionModel, image: object, _target: object) -> probes.PatchMap:
        if made:
            raise KeyboardInterrupt
        made.append(probes.random_map(model, image))
        return made[0]

    table = vw.compare(model, scenes, {"mine": interrupted})
    assert list(table.maps) == [("demo", 0, "mine")]
    assert table.compare_rows[1]["maps"][0]["note"] == "stopped before it was made"
    told: list[tuple[int, int]] = []

    def enough(done: int, total: int) -> bool:
        told.append((done, total))
        return done < 2

    table = vw.compare(model, scenes, ("rollout", "grad_cam"), progress=enough)
    assert told == [(1, 4), (2, 4)]
    assert list(table.maps) == [("demo", 0, "rollout"), ("demo", 0, "grad_cam")]


def test_it_is_linked_with_a_page_both_ways(model: vw.VisionModel, scenes: list):
    """Breaks when a picture, a method or a patch means another on the two pages."""
    table = vw.compare(model, scenes, ("rollout", "grad_cam"))
    page = vw.inspect(model, scenes)
    try:
        for name in ("image_index", "attribution_method", "query"):
            traitlets.link((table, name), (page, name))
        table.image_index, table.attribution_method = 1, "grad_cam"
        table.query = 1 + 5 * 12 + 7
        assert (page.image_index, page.attribution_method, page.query) == (1, "grad_cam", 68)
        page.image_index, page.query = 0, 144
        page.attribution_method = "relevance"  # which the table has not: it says so
        assert (table.image_index, table.attribution_method, table.query) == (0, "relevance", 144)
        assert page.wait(60)
    finally:
        page.close()


def test_the_lines_make_it_again(model: vw.VisionModel, scenes: list):
    """Breaks when what was asked for is not in the lines that are copied."""
    own = {"mine": probes.random_map}
    view = vw.CompareMaps.selection
    head = "import vit_widgets as vw\n\nvw.compare("
    assert vw.compare("demo", scenes[:1], "rollout").code == (
        f"{head}'demo', images=images, methods=['rollout'], {view})"
    )
    assert vw.compare(model, scenes[:1], own, ("margin", 1, 2), {"b": model}).code == (
        f"{head}model, images=images, methods=methods, models=models, "
        f"target=('margin', 1, 2), {view})"
    )


def test_a_video_is_a_strip_of_its_frames():
    """Breaks when a map of a video is squeezed into one frame."""
    torch.manual_seed(0)
    net = VivitModel(
        VivitConfig(
            image_size=24, num_frames=4, tubelet_size=[2, 8, 8], hidden_size=16,
            num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        )
    ).eval()  # fmt: skip
    held = vw.load(net)
    table = vw.compare(held, [torch.rand(4, 3, 24, 24)], ("rollout",), faithfulness=True)
    row = table.compare_rows[0]
    assert unpack(row["picture"]).shape == (24, 48, 3)
    assert values(table, 0, 0).shape == (3, 6)
    assert row["maps"][0]["axis"]["box"] == [0.0, 0.0, 1.0, 1.0]
    assert "a video's map is not measured" in row["maps"][0]["note"]
