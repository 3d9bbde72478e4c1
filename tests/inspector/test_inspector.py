"""The Inspector without a browser: selections become requests, results become traits."""

import threading

import numpy as np
import pytest
import timm
import torch
import traitlets
import transformers
from torch import nn

import vit_widgets as vw
from vit_widgets.inspector import inspector as module_under_test
from vit_widgets.inspector import opening
from vit_widgets.inspector.captures import Captures, captures
from vit_widgets.widgets.wire import nbytes, unpack

PICTURES = [np.random.default_rng(i).integers(0, 255, (200, 260, 3), np.uint8) for i in range(3)]


class Counted(nn.Module):
    """A model that counts its forwards and can be made to fail or to wait."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = timm.create_model("test_vit", pretrained=False)
        self.pretrained_cfg = self.inner.pretrained_cfg
        self.forwards = 0
        self.error: Exception | None = None

    def forward(self, x):
        """Count, and fail if told so."""
        self.forwards += 1
        if self.error is not None:
            raise self.error
        return self.inner(x)


@pytest.fixture
def net() -> Counted:
    """A small model."""
    return Counted().eval()


@pytest.fixture
def view(net):
    """An Inspector that has all it asked for."""
    inspector = vw.inspect(net, PICTURES)
    assert inspector.wait(60)
    yield inspector
    inspector.close()


def test_the_first_picture_is_there_when_the_cell_ends(net):
    """Breaks when a notebook would be saved with an empty output."""
    inspector = vw.inspect(net, PICTURES[0])
    assert inspector.maps["layers"]
    assert inspector.picture() is not None
    assert inspector.wait(60)
    assert inspector.layer_labels == [record.name for record in inspector.cache.attention]
    assert "10 × 10 patches · class token · fused attention, exact" in inspector.subtitle
    inspector.close()


def test_layer_head_and_query_run_no_forward_and_an_image_runs_one(view, net):
    """Counts; breaks when anything that the page asks for would run the model again."""
    before = net.forwards
    for trait, value in (
        ("layer", 1), ("head", 1), ("query", 17), ("direction", "attended by"), ("pins", [3, 4]),
    ):  # fmt: skip
        setattr(view, trait, value)
        assert view.wait(60)
    assert net.forwards == before
    view.image_index = 1
    assert view.wait(60)
    assert net.forwards == before + 1
    view.image_index = 0
    assert view.wait(60)
    assert net.forwards == before + 1  # it was captured before


def test_rows_are_the_records_rows(view):
    """Breaks when the page would draw another query, image, direction or layer than it says."""
    view.image_index, view.query, view.pins = 2, 30, [5]
    assert view.wait(60)
    assert view.maps["image_index"] == 2
    assert view.maps["queries"][:2] == [30, 5]
    for layer, record in zip(view.maps["layers"], view.cache.attention, strict=True):
        for at, query in enumerate((30, 5)):
            row = record.weights(query=query)
            assert np.abs(unpack(layer["cells"])[at] - row[:, 1:]).max() < 0.005 * row.max()
            assert np.array_equal(unpack(layer["prefix_values"])[at], row[:, :1])
    view.direction = "attended by"
    assert view.wait(60)
    exact = view.exact["layers"][view.layer]
    column = view.cache.attention[view.layer].weights(key=30)
    assert np.array_equal(unpack(exact["cells"])[0], column[:, 1:])
    assert view.exact["direction"] == "attended by"


def test_a_view_update_is_small(view):
    """Bytes; breaks when whole matrices would be sent for one query."""
    records = view.cache.attention
    maps = sum(record.heads * record.keys for record in records)
    statistics = sum(record.heads * 4 * 4 for record in records)
    assert nbytes(view.maps) <= maps + statistics
    view.query = 45
    assert view.wait(60)
    assert nbytes(view.maps) <= 9 * (maps + statistics)


def test_the_patches_around_come_along(view):
    """Breaks when the page would have to ask for the patch beside the one that it has."""
    view.query = 1 + 3 * 10 + 4  # row 3, column 4 of a 10 x 10 grid
    assert view.wait(60)
    places = {divmod(query - 1, 10) for query in view.maps["queries"]}
    assert places == {(row, col) for row in (2, 3, 4) for col in (3, 4, 5)}
    view.query = 1  # a corner has three
    assert view.wait(60)
    assert {divmod(query - 1, 10) for query in view.maps["queries"]} == {
        (0, 0), (0, 1), (1, 0), (1, 1),
    }  # fmt: skip
    at = view.maps["queries"].index(2)
    for layer, record in zip(view.maps["layers"], view.cache.attention, strict=True):
        row = record.weights(query=2)
        assert np.abs(unpack(layer["cells"])[at] - row[:, 1:]).max() < 0.005 * row.max()


def test_class_scores_that_are_no_numbers_are_said():
    """Breaks when NaN is sent as a probability: JSON has none, and the page fails on the word."""
    net = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1, num_classes=3).eval()
    torch.nn.init.constant_(net.head.bias, torch.nan)
    page = vw.inspect(net, np.zeros((32, 32, 3), np.uint8))
    assert page.predictions == []
    assert "NaN" in page.predictions_note


def test_predictions_and_picture_are_the_models(view, net):
    """Breaks when another image's classes or pixels would be shown."""
    view.image_index = 1
    assert view.wait(60)
    expected = view.model.predict(PICTURES[1])[0]
    assert view.predictions[0]["probability"] == pytest.approx(expected.max(), rel=1e-5)
    seen = view.model.picture(view.model.transform(PICTURES[1]))
    assert np.array_equal(unpack(view.image), seen)


@pytest.mark.parametrize(
    ("trait", "bad", "says"),
    [("layer", 6, "0 to 5"), ("head", 2, "0 to 1"), ("query", 101, "0 to 100"),
     ("image_index", 3, "0 to 2"), ("pins", [101], "0 to 100")],
)  # fmt: skip
def test_python_is_told_the_valid_range(view, trait, bad, says):
    """Breaks when an index out of range is taken or clamped silently."""
    view_sizes = {"layer": 6, "head": 2}
    if trait in view_sizes:
        bad = view.size_of(trait)
        says = f"0 to {bad - 1}"
    with pytest.raises(traitlets.TraitError, match=says):
        setattr(view, trait, bad)


def test_an_error_in_the_forward_is_shown_in_the_widget_and_loses_nothing(view, net):
    """Breaks when a failing image empties the view, or its error lands in a lost log."""
    shown = view.maps
    net.error = ArithmeticError("this picture is too strange")
    view.image_index = 1
    assert view.wait(60)
    assert view.status["state"] == "error"
    assert "this picture is too strange" in view.status["text"]
    assert "ArithmeticError" in view.status["detail"]
    assert view.maps == shown
    net.error = None
    view.image_index = 2
    assert view.wait(60)
    assert view.status["state"] == "ready"


def test_an_error_in_the_first_forward_is_raised_in_the_cell(net):
    """Breaks when a model that cannot run would leave an empty widget."""
    net.error = ArithmeticError("broken from the start")
    with pytest.raises(ArithmeticError, match="broken from the start"):
        vw.inspect(net, PICTURES[0])


def test_scrubbing_ends_on_the_last_value(view):
    """Breaks when an overtaken answer would be the last one to arrive."""
    for query in list(range(1, 100)) * 3:
        view.query = query
    assert view.wait(60)
    assert view.maps["queries"][0] == 99
    assert view.exact["queries"] == [99]


def test_what_is_asked_goes_before_statistics(net, monkeypatch):
    """Breaks when a query has to wait until every layer of a large model is measured."""
    measured, started, go = [], threading.Event(), threading.Event()
    measure = module_under_test.layer_statistics

    def slowly(record, image=0):
        measured.append(inspector.maps["queries"][0] if len(measured) > 1 else None)
        if len(measured) == 2:
            started.set()
            assert go.wait(60)
        return measure(record, image)

    monkeypatch.setattr(module_under_test, "layer_statistics", slowly)
    inspector = vw.inspect(net, PICTURES[0])
    assert started.wait(60)
    inspector.query = 50
    go.set()
    assert inspector.wait(60)
    assert len(measured) == len(inspector.cache.attention) > 2
    assert measured[2] == 50
    expected = vw.probes.head_statistics(inspector.cache).entropy.mean(axis=1)
    assert np.allclose(unpack(inspector.layer_values), expected, rtol=1e-6)
    inspector.close()


def test_messages_of_the_page_may_come_on_any_thread(view):
    """Breaks when state set from two threads at once is lost or raises."""
    errors = []

    def page(start: int) -> None:
        try:
            for query in range(start, 100, 2):
                view.set_state({"query": query, "head": query % 2})
        except Exception as error:  # noqa: BLE001 - any of them fails the test
            errors.append(error)

    threads = [threading.Thread(target=page, args=(start,)) for start in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert view.wait(60)
    assert errors == []
    assert view.maps["queries"][0] == view.query


def test_two_views_of_one_model_do_not_disturb_each_other(view, net):
    """Breaks when views share a selection, or closing one empties the other."""
    other = vw.inspect(net, PICTURES)
    other.layer = 0
    other.query = 50
    assert other.wait(60)
    assert view.maps["queries"][0] != 50
    other.close()
    view.query = 20
    assert view.wait(60)
    assert view.maps["queries"][0] == 20


def test_close_forgets_captures_and_leaves_no_thread(net):
    """Breaks when a closed view keeps activations or a thread alive."""
    before = threading.active_count()
    inspector = vw.inspect(net, PICTURES)
    owner = inspector._pictures._owner
    assert inspector.wait(60)
    inspector.close()
    assert not any(key[0] is owner for key in captures._held)
    assert threading.active_count() <= before + 1  # a worker may be on its way out
    assert not any(part._forward_hooks for part in net.modules())


def test_captures_are_bounded_in_bytes(net):
    """Breaks when views of forgotten cells would fill the memory."""
    held = Captures(most_bytes=1)
    first = held.get(("a", 0), lambda: vw.capture(net, PICTURES[0], keep=("attention",)))
    held.get(("a", 1), lambda: vw.capture(net, PICTURES[1], keep=("attention",)))
    again = held.get(("a", 0), lambda: vw.capture(net, PICTURES[0], keep=("attention",)))
    assert first is not again
    assert len(held._held) == 1


def test_a_model_opened_by_name_is_opened_once(monkeypatch):
    """Breaks when re-running a cell would load the model again."""
    opened = []

    def load(name, **_):
        opened.append(name)
        return vw.load(timm.create_model("test_vit", pretrained=False))

    monkeypatch.setattr(opening, "load", load)
    first = vw.inspect("some_name", PICTURES[0])
    second = vw.inspect("some_name", PICTURES[0])
    assert opened == ["some_name"]
    assert first.model is second.model
    for inspector in (first, second):
        assert inspector.wait(60)
        inspector.close()


def test_the_copied_lines_make_the_view_again(net):
    """Breaks when the code that the page copies is not the call that made the view."""
    namespace = {"model": net, "images": PICTURES, "vw": vw}
    first = vw.inspect(
        net, PICTURES, layer=1, query=30, image_index=2, direction="attended by", neuron=7
    )
    assert "transform" not in first.code
    given = vw.inspect(net, PICTURES, transform=vw.load(net).transform, labels=["a"])
    assert "images=images, transform=transform, labels=labels" in given.code
    assert given.wait(60)
    given.close()
    lines = first.code
    for name in ("layer", "head", "query", "image_index", "direction", "neuron", "tab"):
        lines = lines.replace("{" + name + "}", str(getattr(first, name)))
    again = eval(lines.splitlines()[-1], namespace)
    assert (again.layer, again.query, again.image_index, again.neuron) == (1, 30, 2, 7)
    assert again.direction == "attended by"
    assert np.array_equal(again.shown_maps(), first.shown_maps())
    for inspector in (first, again):
        assert inspector.wait(60)
        inspector.close()


def test_the_demo_opens_on_a_head_that_follows_the_object():
    """Known answers: the class token's attention against the object's mask on 24 new scenes.

    Breaks when the weights, the placement of tokens or the opening view are not what they were.
    """
    inspector = vw.inspect()
    scenes = vw.demo.scenes(24, seed=77)
    cache = vw.capture(inspector.model, [scene.image for scene in scenes], keep=("attention",))
    record = cache.attention[inspector.layer]
    on_object, area = [], []
    for index, scene in enumerate(scenes):
        patches = scene.mask.reshape(12, 12, 12, 12).mean(axis=(1, 3))
        weights = record.to_image(record.weights(image=index, head=inspector.head, query=0))
        on_object.append((weights * patches).sum() / weights.sum())
        area.append(patches.mean())
    assert np.mean(on_object) > 0.6 > 2 * np.mean(area)
    assert inspector.image_names[inspector.image_index] == inspector.predictions[0]["label"]
    assert inspector.wait(60)
    inspector.close()


def test_a_model_without_attention_says_so_and_still_predicts():
    """Breaks when a convolutional network shows an empty grid without a word."""
    net = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    inspector = vw.inspect(net, PICTURES[0])
    assert inspector.wait(60)
    assert inspector.status["state"] == "cannot"
    assert "no attention" in inspector.status["text"]
    assert len(inspector.predictions) == 4
    inspector.close()


def test_a_window_is_drawn_alone_and_grids_change_with_the_layer():
    """The window of the patch has values and nothing else does; breaks when a window passes for
    the image, or a layer answers for a patch of another layer's grid.
    """
    net = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False).eval()
    query = 20 * 56 + 30
    inspector = vw.inspect(net, PICTURES[0], query=query)
    assert inspector.wait(60)
    assert "56 × 56 to 7 × 7 patches" in inspector.subtitle
    assert inspector.maps["reference"]["grid"] == [56, 56]
    assert [layer["grid"][0] for layer in inspector.maps["layers"][::2]] == [56, 28, 14, 14, 14, 7]
    row = inspector.maps["queries"].index(query)
    first, second = (unpack(layer["cells"])[row, 0] for layer in inspector.maps["layers"][:2])
    for values, (top, left) in ((first, (14, 28)), (second, (17, 24))):
        rows, cols = np.nonzero(~np.isnan(values.reshape(56, 56)))
        assert (rows.min(), rows.max(), cols.min(), cols.max()) == (top, top + 6, left, left + 6)
    inspector.close()


def test_a_video_is_drawn_as_a_strip_of_its_frames():
    """Breaks when frames are drawn in another order than their patches, when a patch answers for
    another frame, or when the class token of a frame is lost.
    """
    torch.manual_seed(0)
    net = transformers.TimesformerForVideoClassification(
        transformers.TimesformerConfig(
            image_size=24, patch_size=8, num_frames=3, hidden_size=16, num_hidden_layers=1,
            num_attention_heads=2, intermediate_size=32, num_labels=5,
        )
    ).eval()  # fmt: skip
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)
    clip = np.tile(colours[:, None, None], (1, 24, 24, 1))
    row, frame, col = 1, 2, 0
    patch = 1 + row * 9 + frame * 3 + col
    inspector = vw.inspect(net, [clip, clip[::-1]], query=patch)
    assert inspector.wait(60)
    assert "3 frames of 3 × 3 patches · class token" in inspector.subtitle
    assert inspector.image_names == ["video 0", "video 1"]
    picture = unpack(inspector.image)
    assert picture.shape == (24, 3 * 24, 3)
    assert np.abs(picture[12, 12::24].astype(int) - colours).max() <= 1
    assert np.abs(unpack(inspector.thumbnails)[:, 9, 9].astype(int) - colours[[0, 2]]).max() <= 1
    assert inspector.maps["reference"]["grid"] == [3, 9]

    over_time, over_space = inspector.maps["layers"]
    assert inspector.cache.attention[1].name.endswith("layer.0.attention.attention")
    for layer in (over_time, over_space):
        assert "Frames stand beside each other: 3 frames of 3 columns" in layer["note"]
        assert layer["box"] == [0, 0, 1, 1]
        assert np.isnan(unpack(layer["distance"])).all()
    at = inspector.maps["queries"].index(patch)
    seen = ~np.isnan(unpack(over_time["cells"])[at, 0]).reshape(3, 3, 3)  # row, frame, column
    assert np.argwhere(seen).tolist() == [[row, time, col] for time in range(3)]
    seen = ~np.isnan(unpack(over_space["cells"])[at, 0]).reshape(3, 3, 3)
    assert seen[:, frame].all()
    assert seen.sum() == 9
    record = inspector.cache.attention[1]
    own = record.weights(group=frame, query=1 + 3 * row + col)
    assert np.allclose(unpack(over_space["prefix_values"])[at], own[:, :1])

    inspector.query = 0  # the class token: of no layer over time, of every frame over space
    assert inspector.wait(60)
    over_time, over_space = inspector.maps["layers"]
    assert np.isnan(unpack(over_time["cells"])[0]).all()
    assert not np.isnan(unpack(over_space["cells"])[0]).any()
    inspector.close()


def test_a_model_of_videos_opens_on_pictures_that_stand_still():
    """Breaks when the scenes of the demo are taken for the frames of one video."""
    net = transformers.VideoMAEForVideoClassification(
        transformers.VideoMAEConfig(
            image_size=16, patch_size=8, num_frames=4, hidden_size=16, num_hidden_layers=1,
            num_attention_heads=2, intermediate_size=32, num_labels=5,
        )
    ).eval()  # fmt: skip
    inspector = vw.inspect(net)
    assert inspector.wait(60)
    assert inspector.image_names == ["video 0", "video 1", "video 2"]
    picture = unpack(inspector.image)
    assert picture.shape == (16, 32, 3)
    assert np.array_equal(picture[:, :16], picture[:, 16:])
    assert inspector.cache.model.picture(inspector.cache.images[0]).shape == (4, 16, 16, 3)
    inspector.close()


def test_a_layer_without_a_place_is_a_matrix_with_the_reason():
    """Breaks when channels are drawn on the image as if they were patches."""
    net = timm.create_model("xcit_nano_12_p16_224", pretrained=False, depth=1).eval()
    inspector = vw.inspect(net, PICTURES[0])
    assert inspector.wait(60)
    channels, *_, token = inspector.maps["layers"]
    assert (channels["kind"], channels["kind_of_record"]) == ("matrix", "channel")
    assert channels["axes"] == ["channels", "channels"]
    assert "all places at once" in channels["reason"]
    assert (token["kind"], token["only"]) == ("image", "class token")
    assert "places on the image known for 2 of 3 layers" in inspector.subtitle
    inspector.close()


def test_an_outlook_is_a_stamp_around_the_patch():
    """VOLO has a kernel of 3 x 3 on every second patch; breaks when the rest of the image is drawn
    as seen and empty, or the stamp lies elsewhere.
    """
    from timm.models.volo import VOLO

    torch.manual_seed(0)
    net = VOLO(
        img_size=(64, 96), layers=(1, 1), embed_dims=(16, 24), num_heads=(2, 3), num_classes=3,
        downsamples=(True, False), outlook_attention=(True, False), stem_hidden_dim=8,
    ).eval()  # fmt: skip
    inspector = vw.inspect(net, torch.randn(1, 3, 64, 96), layer=0, query=1 + 4 * 12 + 6)
    assert inspector.wait(60)
    layer = inspector.maps["layers"][0]
    assert (layer["record"], layer["grid"]) == ("outlook", [8, 12])
    row = inspector.maps["queries"].index(inspector.query)
    rows, cols = np.nonzero(~np.isnan(unpack(layer["cells"])[row, 0].reshape(8, 12)))
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (3, 5, 5, 7)
    inspector.close()


def test_non_square_images_keep_their_patches_to_the_pixel():
    """Breaks when the patches are stretched over pixels that they do not cover, or squared."""

    class Ragged(nn.Module):
        """Patches of 16 on an image of 100 x 230: the last pixels are not seen."""

        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 8, 16, 16)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            tokens = self.patches(x).flatten(2).mT
            return self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1)

    inspector = vw.inspect(Ragged().eval(), torch.rand(1, 3, 100, 230))
    assert inspector.wait(60)
    assert inspector.maps["layers"][0]["grid"] == [6, 14]
    assert inspector.image["shape"] == [100, 230, 3]
    assert inspector.maps["layers"][0]["box"] == [0, 0, 96 / 100, 224 / 230]
    inspector.close()
