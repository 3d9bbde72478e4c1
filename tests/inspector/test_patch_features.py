"""The tab of patch features: a selection is answered by the probes, from one forward an image."""

import numpy as np
import pytest
import timm
import torch
import traitlets

import vit_widgets as vw
from tests.probes.tiny_tokens import Picked, tiny_swin
from vit_widgets.widgets.wire import unpack


@pytest.fixture
def page() -> vw.Inspector:
    """The tab, opened at a patch of layer 3."""
    opened = vw.inspect("demo", tab="features", layer=3, query=1 + 5 * 12 + 5)
    assert opened.wait(60)
    return opened


def test_what_is_shown_is_what_the_probes_say(page: vw.Inspector):
    """Breaks when a layer, patch or image of the page means another one to the probe."""
    cache = vw.capture(page.model, vw.demo.images(2)[1], keep=("tokens",))
    page.image_index = 1
    page.query = 1 + 2 * 12 + 7
    assert page.wait(60)
    said = unpack(page.similarity["values"])
    wanted = vw.probes.similarity(cache, 3, 1 + 2 * 12 + 7)
    np.testing.assert_allclose(said, wanted.values, atol=1e-5)
    assert page.similarity["prefix"] == pytest.approx(dict(wanted.prefix), abs=1e-5)
    page.features_view, page.features_k = "segments", 4
    assert page.wait(60)
    assert page.segments["k"] == 4
    labels = vw.probes.kmeans(cache, 3, 4).labels[0]
    np.testing.assert_array_equal(unpack(page.segments["labels"]), labels)
    assert page.segments["sizes"] == np.bincount(labels.ravel()).tolist()
    page.features_view = "object"
    assert page.wait(60)
    cut = vw.probes.tokencut(cache, 3, of="tokens")
    np.testing.assert_array_equal(unpack(page.object_cut["mask"]), cut.mask)
    top, left, bottom, right = np.array(page.object_cut["box"]) * 144
    assert (left, top, right, bottom) == pytest.approx(cut.box)
    page.features_view = "colours"
    assert page.wait(60)
    colours = unpack(page.colours["values"])[0] / 255
    np.testing.assert_allclose(colours, vw.probes.pca_colors(cache, 3).values[0], atol=0.01)


def test_layers_patches_and_views_run_no_forward(page: vw.Inspector):
    """Breaks when anything but a new image runs the model."""
    forwards: list[int] = []
    handle = page.model.module.register_forward_pre_hook(lambda *_: forwards.append(1))
    try:
        page.layer = 1
        page.query = 90
        for view in ("colours", "segments", "object", "similarity"):
            page.features_view = view
            assert page.wait(60)
        assert page.similarity["layer"] == 1
        assert page.similarity["query"] == 90
        assert not forwards
        page.image_index = 2
        assert page.wait(60)
        assert page.similarity["image_index"] == 2
        assert len(forwards) == 1
    finally:
        handle.remove()


def test_what_cannot_be_cut_is_said_in_its_place(page: vw.Inspector):
    """Breaks when a refusal ends as an error of the whole view, or takes other answers along."""
    page.features_view, page.features_tau = "object", -1.0
    assert page.wait(60)
    assert "nothing to cut" in page.object_cut["note"]
    assert page.object_cut["tau"] == -1  # so that the page knows it is of this question
    assert page.status["state"] == "ready"
    page.features_view = "similarity"
    assert page.wait(60)
    assert page.similarity["values"]


def test_tokens_without_places_are_said():
    """Breaks when patches are guessed where the model did not confirm them."""
    page = vw.inspect(Picked(), torch.rand(1, 3, 32, 32), tab="features", layer=1)
    assert page.wait(60)
    assert "is not known" in page.token_layer["note"]
    page.features_view = "object"
    assert page.wait(60)
    assert "is not known" in page.object_cut["note"]
    assert page.status["state"] == "ready"


def test_the_code_of_the_page_comes_when_it_is_opened():
    """Breaks when every Inspector carries pages that nobody opened."""
    page = vw.inspect("demo")
    assert page.tab_code == {}
    page.tab = "features"
    assert list(page.tab_code) == ["features"]
    assert "drawTab" in page.tab_code["features"]
    page.wait(60)


def on(page: vw.Inspector, **changes: object) -> vw.Inspector:
    """Change the page and wait for its answer."""
    for name, value in changes.items():
        setattr(page, name, value)
    assert page.wait(60)
    return page


def test_keys_are_asked_where_they_are_chosen(page: vw.Inspector):
    """Breaks when a view goes on with tokens, or its answer does not say what it is of."""
    cache = vw.capture(page.model, vw.demo.scenes(12, background="correlated")[0].image)
    token = page.query
    on(page, features_of="keys")
    wanted = vw.probes.similarity(cache, 3, token, of="keys").values
    np.testing.assert_allclose(unpack(page.similarity["values"]), wanted, atol=1e-5)
    assert page.similarity["of"] == "keys"
    assert page.similarity["axis"] == {}  # keys of this model lie where its tokens do
    on(page, features_view="object")
    mask = vw.probes.tokencut(cache, 3, of="keys").mask
    np.testing.assert_array_equal(unpack(page.object_cut["mask"]), mask)
    on(page, features_view="segments", features_k=3)
    labels = vw.probes.kmeans(cache, 3, 3, of="keys").labels[0]
    np.testing.assert_array_equal(unpack(page.segments["labels"]), labels)
    on(page, features_view="colours")
    colours = vw.probes.pca_colors(cache, 3, of="keys").values[0]
    np.testing.assert_allclose(unpack(page.colours["values"])[0] / 255, colours, atol=0.01)


def test_the_patch_is_looked_for_on_another_image(page: vw.Inspector):
    """Breaks when the other image is not the one that was chosen, or the match is not its best."""
    scenes = vw.demo.scenes(12, background="correlated")
    cache = vw.capture(page.model, [scenes[0].image, scenes[4].image])
    on(page, features_onto=4)
    assert page.onto_picture["onto"] == page.matches["onto"] == 4
    np.testing.assert_array_equal(unpack(page.onto_picture["picture"])[0], scenes[4].image)
    wanted = vw.probes.similarity(cache, 3, page.query, onto_image=1).values
    np.testing.assert_allclose(unpack(page.matches["values"]), wanted, atol=1e-5)
    pairs = vw.probes.matching(cache, 3)
    assert page.matches["best"] == pairs.best[5, 5].tolist()
    assert page.matches["cosine"] == pytest.approx(pairs.values[5, 5], abs=1e-5)
    assert page.matches["mutual"] == pairs.mutual[5, 5]
    on(page, query=0)
    assert page.matches["mutual"] is None  # the class token is no patch
    assert len(page.matches["best"]) == 2
    with pytest.raises(traitlets.TraitError, match=r"features_onto 12 is out of range: .* 0 to 11"):
        page.features_onto = 12


def test_colours_and_segments_are_fitted_on_all_images(page: vw.Inspector):
    """Breaks when an image is fitted alone, or another one's colours are shown."""
    scenes = vw.demo.scenes(12, background="correlated")
    cache = vw.capture(page.model, [scene.image for scene in scenes])
    on(page, features_view="colours", features_images="all images", image_index=7)
    wanted = vw.probes.pca_colors(cache, 3)
    np.testing.assert_allclose(unpack(page.colours["values"])[0] / 255, wanted.values[7], atol=0.01)
    assert page.colours["images"] == "all images"
    assert page.status["state"] == "ready"
    on(page, features_foreground=True)
    wanted = vw.probes.pca_colors(cache, 3, foreground=True)
    np.testing.assert_array_equal(unpack(page.colours["mask"]), wanted.foreground[7])
    assert page.colours["note"] == wanted.notes[0]
    on(page, features_view="segments")
    assert sum(page.segments["sizes"]) == 12 * 144
    labels = vw.probes.kmeans(cache, 3, 6).labels
    np.testing.assert_array_equal(unpack(page.segments["labels"]), labels[7])


def test_the_object_is_refined_and_the_class_token_boxed(page: vw.Inspector):
    """Breaks when the refined mask, the box or its patches are of another layer or picture."""
    scene = vw.demo.scenes(12, background="correlated")[0]
    cache = vw.capture(page.model, scene.image)
    on(page, features_view="object", features_refined=True)
    fine = vw.probes.tokencut(cache, 3, of="tokens").refined(scene.image)
    np.testing.assert_array_equal(unpack(page.object_cut["pixels"]), fine)
    on(page, features_refined=False)
    assert page.object_cut["pixels"] == {}
    on(page, features_view="class", layer=5, features_top=5)
    found = vw.probes.glsim(cache, top=5)
    np.testing.assert_allclose(unpack(page.class_patches["values"]), found.values, atol=1e-5)
    assert page.class_patches["patches"] == found.patches.tolist()
    top, left, bottom, right = np.array(page.class_patches["box"]) * 144
    assert (left, top, right, bottom) == pytest.approx(found.box)
    assert page.class_patches["norm"] == "norm"
    on(page, layer=2)
    assert "trained on the last block" in page.class_patches["note"]


def test_weights_of_heads_are_those_of_the_token_that_is_chosen(page: vw.Inspector):
    """Breaks when another layer or token is asked: the page makes the masks from these weights."""
    cache = vw.capture(page.model, vw.demo.scenes(12, background="correlated")[0].image)
    for query in (0, 40):
        on(page, features_view="heads", query=query, layer=4)
        found = vw.probes.head_masks(cache, 4, query=query)
        np.testing.assert_allclose(unpack(page.head_weights["weights"]), found.weights, atol=1e-6)
        assert page.head_weights["asked"] == found.query
        assert page.head_weights["on_patches"] == pytest.approx(found.on_patches.tolist(), abs=1e-6)


def test_copied_lines_carry_the_view(page: vw.Inspector):
    """Breaks when the lines open the tab as it always opens, or other tabs carry these settings."""
    on(page, features_view="segments", features_of="keys", features_k=4, features_tau=0.4)
    lines = page.code.splitlines()[-1]
    for name in page.trait_names():
        lines = lines.replace("{" + name + "}", str(getattr(page, name)))
    again = eval(lines, {"vw": vw})
    assert again.wait(60)
    for name in ("features_view", "features_of", "features_k", "features_tau", "tab", "layer"):
        assert getattr(again, name) == getattr(page, name)
    assert again.segments["k"] == 4
    again.close()
    page.tab = "attention"
    assert "features_view" not in page.code


def strange(**changes: object) -> vw.Inspector:
    """A page about a small model of which something is not as usual."""
    torch.manual_seed(0)
    sizes = {"img_size": (32, 48), "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    model = timm.models.VisionTransformer(**{**sizes, "num_classes": 3, **changes}).eval()
    for one in model.modules():
        if isinstance(one, torch.nn.Linear):
            torch.nn.init.normal_(one.weight, std=0.3)
    size = model.patch_embed.img_size
    opened = vw.inspect(model, torch.rand(1, 3, *size), tab="features", layer=1, query=1)
    assert opened.wait(60)
    return opened


def test_a_model_without_a_class_token_has_the_other_views():
    """Breaks when the first patch is taken for it, or its grid for a square."""
    page = strange(class_token=False, global_pool="avg")
    assert page.similarity["values"]["shape"] == [4, 6]
    on(page, features_view="class")
    assert "no class token" in page.class_patches["note"]
    on(page, features_view="heads")
    assert page.head_weights["asked"] == "patch (0, 1)"
    on(page, features_view="colours", features_foreground=True)
    assert page.colours["mask"]["shape"] == [4, 6]
    assert page.status["state"] == "ready"


def test_tokens_that_say_nothing_are_said_in_each_view():
    """Breaks when NaN or identical tokens end as an error of the page, or as a picture."""
    page = strange()
    cache = page._pictures.tokens(0)
    trait = {"object": "object_cut", "class": "class_patches"}
    for value, words in ((float("nan"), "NaN"), (0.0, "")):
        cache.tokens[1][:] = value
        for view in ("colours", "segments", "object", "class", "similarity"):
            on(page, features_view=view, features_foreground=view == "colours")
            note = getattr(page, trait.get(view, view))["note"]
            assert note, view
            assert words in note
        assert page.status["state"] == "ready"
        on(page, features_view="heads")
        assert page.head_weights["weights"]


def test_keys_of_windows_and_of_coarser_grids_lie_where_they_are():
    """Breaks when keys are drawn on the grid of the tokens, or a patch sought by its number."""
    torch.manual_seed(0)
    swin = tiny_swin(depths=(2,), num_heads=(2,))
    for block in swin.layers[0].blocks:
        block.attn.fused_attn = True  # else it gives its weights alone, and that is said
    page = vw.inspect(swin, torch.rand(1, 3, 32, 32), tab="features", layer=1, query=8 * 5 + 6)
    on(page, features_of="keys")
    cache = page._pictures.tokens(0)
    wanted = vw.probes.similarity(cache, 1, 8 * 5 + 6, of="keys").values
    np.testing.assert_allclose(unpack(page.similarity["values"]), wanted, atol=1e-5)
    assert unpack(page.similarity["values"])[5, 6] == pytest.approx(1)
    pvt = timm.create_model("pvt_v2_b0", pretrained=False, num_classes=3).eval()
    page = vw.inspect(pvt, torch.rand(2, 3, 64, 64), tab="features", layer=0, query=16 * 9 + 4)
    on(page, features_of="keys", features_onto=1)
    axis = page.similarity["axis"]
    assert page.matches["axis"] == axis
    assert axis["grid"] == (2, 2) or axis["grid"] == [2, 2]
    values = unpack(page.similarity["values"])
    assert values.shape == (2, 2)
    assert values[1, 0] == pytest.approx(1)  # row 9 of 16 is in the lower half, column 4 left
