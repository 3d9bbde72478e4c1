"""From noise to an image: repeatable, bounded, interruptible, and the model stays as it was."""

import json
from dataclasses import replace

import numpy as np
import open_clip
import pytest
import timm
import torch
from PIL import Image
from torch import nn

import vit_widgets as vw
from tests.families.tiny_models import EVERY
from tests.models.module_state import state_of
from tests.probes.feature_visualization.models import Failing, tiny_vit
from vit_widgets.activations import site
from vit_widgets.probes import FeatureRun, visualize_feature
from vit_widgets.probes.feature_visualization import PRESETS, NotFinite, Settings


@pytest.fixture(scope="module")
def tiny():
    """A random ViT in float32."""
    return tiny_vit(dtype=torch.float32)


def short(preset="preview", **changes):
    """Arguments of a short run."""
    return {"preset": preset, "steps": 6, "jitter": 2, **changes}


def straight(**changes):
    """Arguments of a run that nothing but the activation steers: it can only go up."""
    return {"steps": 24, "copies": 1, "jitter": 0, "total_variation": 0, **changes}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_same_settings_give_the_same_bits(tiny, preset):
    """Breaks when anything is drawn from another source than the seed, or is not recorded."""
    made = visualize_feature(tiny, 1, [3, 8], **short(preset, seed=[0, 1]))
    again = visualize_feature(tiny, **made.settings.arguments())
    assert np.array_equal(made.images, again.images)
    assert np.array_equal(made.curves["loss"], again.curves["loss"])
    assert made.settings == again.settings
    assert not np.array_equal(made.images[0], made.images[1])  # two seeds


@pytest.mark.parametrize("preset", PRESETS)
def test_an_image_does_not_depend_on_its_batch(preset):
    """Breaks when images of a batch share a draw, a loss or a step of Adam: equal but rounding."""
    model = tiny_vit()
    made = visualize_feature(
        model, 1, [3, 8], **short(preset, seed=[0, 1], total_variation=[1e-4, 1e-2])
    )
    order = [(n, s, w) for n in (3, 8) for s in (0, 1) for w in (1e-4, 1e-2)]
    assert len(made.images) == len(order)
    for image, (neuron, seed, weight) in zip(made.images, order, strict=True):
        alone = visualize_feature(
            model, 1, neuron, **short(preset, seed=seed, total_variation=weight)
        )
        assert np.allclose(alone.image, image, atol=1e-6)


@pytest.mark.parametrize("parametrization", ["pixel", "fourier"])
@pytest.mark.parametrize("objective", ["most active", "least active"])
def test_the_activation_moves_as_wanted_within_the_range_of_pixels(
    tiny, parametrization, objective
):
    """Breaks when the sign is wrong, nothing is optimised, or pixels leave [0, 1]."""
    made = visualize_feature(
        tiny,
        1,
        [0, 1, 2],
        **straight(parametrization=parametrization, objective=objective),
    )
    assert made.images.dtype == np.float32
    assert made.images.shape == (3, 32, 32, 3)
    assert made.images.min() >= 0
    assert made.images.max() <= 1
    assert {curve.shape for curve in made.curves.values()} == {(3, 25)}
    gained = made.activation - made.curves["activation"][:, 0]
    assert np.all(gained > 0.1 if objective == "most active" else gained < 0)


def test_the_activation_is_that_of_the_final_image(tiny):
    """Breaks when it is read with augmentation, or of another image."""
    made = visualize_feature(tiny, 1, 5, **short("reference"))
    cache = vw.capture(tiny, torch.from_numpy(made.images).movedim(-1, 1) * 2 - 1)
    expected = cache.neurons[1][0, 1:, 5].mean()
    assert made.activation[0] == pytest.approx(float(expected), rel=1e-4)


def test_the_demo_model_is_excited_more_than_by_any_scene():
    """A known answer: an optimised image beats the best of 64 pictures, for most neurons."""
    model, neurons = vw.load("demo"), [5, 20, 100, 300]
    made = visualize_feature(model, 3, neurons, steps=24)
    cache = vw.capture(model, vw.demo.images(64), keep=("neurons",))
    on_scenes = np.asarray(cache.neurons[3])[:, 1:, neurons].mean(axis=1).max(axis=0)
    assert np.sum(made.activation > on_scenes) >= 3


@pytest.mark.parametrize("size", [16, (24, 40)])
def test_another_size_is_resized_within_the_graph(tiny, size):
    """Breaks when the image does not have the size that was asked for."""
    made = visualize_feature(tiny, 0, 1, **straight(size=size))
    assert made.image.shape[:2] == ((16, 16) if size == 16 else size)
    assert made.settings.size == made.image.shape[:2]
    assert made.activation[0] > made.curves["activation"][0, 0]


# --- interrupted, changed, failed -----------------------------------------------------------------


def test_an_interrupt_keeps_the_best_so_far(tiny):
    """Breaks when the work is lost, or the settings do not make the same image again."""

    def stop(progress):
        if progress.step == 4:
            raise KeyboardInterrupt

    before = state_of(tiny.module)
    made = visualize_feature(tiny, 1, 3, **short(steps=40), on_step=stop)
    assert made.stopped_at == 4
    assert np.isnan(made.curves["loss"][0, 5:]).all()
    assert np.isfinite(made.curves["loss"][0, :5]).all()
    assert state_of(tiny.module) == before
    again = visualize_feature(tiny, **made.settings.arguments())
    assert np.array_equal(made.images, again.images)
    assert again.stopped_at == 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_the_model_is_as_before_after_an_exception_inside_it(error):
    """Breaks when a hook, a flag, a gradient or the lock stays behind."""

    def deed(x):
        raise error

    model = tiny_vit()
    model.module.train()
    target = site(model, 1)
    failing = Failing(model.module.blocks[0].attn, deed)
    model.module.blocks[0].attn = failing.train()
    run = FeatureRun(model, target, 3, Settings(steps=9))
    failing.calls_left = 2
    before = state_of(model.module)
    run.step()
    run.step()
    with pytest.raises(error):
        run.step()
    assert state_of(model.module) == before
    assert run.best().shape == (1, 32, 32, 3)


def test_nothing_is_left_on_the_model_and_between_steps_it_is_the_users(tiny):
    """Breaks when weights get gradients, flags flip, or the lock is held while nothing runs."""
    before = state_of(tiny.module)
    bits = [p.clone() for p in tiny.module.parameters()]
    for _ in FeatureRun(tiny, site(tiny, 1), 3, Settings(steps=3)):
        assert state_of(tiny.module) == before
        assert tiny.lock.acquire(blocking=False)
        tiny.lock.release()
    assert all(torch.equal(a, b) for a, b in zip(bits, tiny.module.parameters(), strict=True))


def test_the_weight_of_the_variation_can_be_changed_while_it_runs(tiny):
    """Breaks when a change is not felt, not recorded, or not repeated."""
    same = {"steps": 30, "jitter": 2, "parametrization": "pixel", "decorrelate": False}
    run = FeatureRun(tiny, site(tiny, 1), [3, 8], Settings(**same))
    losses = []
    for progress in run:
        losses.append(progress)
        if progress.step == 4:
            run.total_variation = 5
    assert run.total_variation == (5.0, 5.0)
    assert run.settings.changes == ((5, (5.0, 5.0)),)
    for step, weight in [(4, 0.002), (5, 5)]:
        at = losses[step]
        assert np.allclose(at.loss, weight * at.total_variation - at.activation, rtol=1e-5)
    made = run.result()
    plain = visualize_feature(tiny, 1, [3, 8], **same)
    assert made.curves["total_variation"][0, -1] < plain.curves["total_variation"][0, -1] / 2
    again = visualize_feature(tiny, **made.settings.arguments())
    assert np.array_equal(made.images, again.images)


def test_what_a_run_shows_while_it_goes_on(tiny):
    """Breaks when a view of a run has another shape or type, or shows another step."""
    run = FeatureRun(tiny, site(tiny, 1), [3, 8], Settings(steps=3, copies=4, jitter=0))
    assert run.copies(0).shape == (0, 32, 32, 3)
    first = run.images()
    run.step()
    assert first.dtype == np.uint8
    assert not np.array_equal(run.images(), first)
    assert np.array_equal(run.best(), first)  # the only one that was measured
    copies = run.copies(1)
    assert np.array_equal(copies, np.stack([first[1]] * 4))  # nothing is drawn but them
    assert run.result().stopped_at == 0
    list(run)
    assert run.done
    assert run.result().stopped_at is None
    with pytest.raises(RuntimeError, match="the run is done"):
        run.step()


def test_the_best_is_judged_by_the_activation(tiny):
    """Breaks when the penalty counts, or least active images are judged as most active ones."""
    for objective, sign in [("most active", 1), ("least active", -1)]:
        settings = Settings(steps=40, learning_rate=0.5, decay="none", objective=objective)
        run = FeatureRun(tiny, site(tiny, 1), [6, 7], settings)
        curves = sign * np.array([progress.activation for progress in run]).T
        for curve, found in zip(curves, run.result().best_step, strict=True):
            means = [np.mean(curve[:8])]
            for value in curve[8:]:
                means.append(means[-1] + (value - means[-1]) / 8)
            assert found == 7 + np.argmax(means)


def test_a_loss_that_is_not_finite_says_so_and_keeps_the_best():
    """Breaks when NaN is optimised, or takes what there was along."""
    model = tiny_vit()
    target = site(model, 1)
    failing = Failing(model.module.blocks[0].attn, lambda x: x * torch.nan)
    model.module.blocks[0].attn = failing
    settings = Settings(steps=9, jitter=2)
    run = FeatureRun(model, target, 3, settings)
    failing.calls_left = 3
    with pytest.raises(NotFinite, match="no longer finite at step 3 of 9") as caught:
        list(run)
    made = caught.value.result
    assert np.isfinite(made.images).all()
    with pytest.raises(NotFinite, match="at step 0") as caught:
        list(FeatureRun(model, target, 3, settings))
    assert caught.value.result is None


def test_a_model_in_training_is_asked_as_it_will_be_used():
    """Breaks when dropout is on during a step: its noise would be in the image."""
    model = tiny_vit(dtype=torch.float32, proj_drop_rate=0.5)
    made = visualize_feature(model, 1, 3, **short())
    model.module.train()
    again = visualize_feature(model, 1, 3, **short())
    assert np.array_equal(made.images, again.images)
    assert model.module.training


def test_a_silent_neuron_is_named():
    """Breaks when an image of a ReLU that never opens looks like the answer."""
    model = tiny_vit(act_layer=nn.ReLU)
    with torch.no_grad():
        model.module.blocks[1].mlp.fc1.bias[3] = -1e4
    made = visualize_feature(model, 1, [3, 8], **short())
    assert made.activation[0] == 0
    assert made.note.startswith("the activation of 3 did not move at all")
    assert visualize_feature(model, 1, 8, **short()).note == ""


def test_a_model_without_gradients_is_refused():
    """Breaks when the penalty alone is optimised, silently, because the activation cannot be."""
    model = tiny_vit()
    model = vw.load(model.module, forward=torch.no_grad()(lambda module, batch: module(batch)))
    with pytest.raises(RuntimeError, match="lets no gradient through"):
        visualize_feature(model, 1, 3)


# --- every kind of target -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "last"), [("ffn_act", 127), ("ffn_pre", 127), ("q", 31), ("attn_out", 31)]
)
def test_a_neuron_out_of_range_is_told_the_range_of_its_space(tiny, space, last):
    """Breaks when a neuron that is not there raises something else, or wraps around."""
    message = f"neuron {last + 1} is out of range: {space} of layer 1 has 0 to {last}"
    with pytest.raises(IndexError, match=message):
        visualize_feature(tiny, 1, last + 1, space)
    with pytest.raises(IndexError, match="layers 0 to 1"):
        visualize_feature(tiny, 2, 0, space)


def test_a_class_out_of_range_is_told_their_number(tiny):
    """Breaks when classes are called neurons, or are not counted."""
    with pytest.raises(IndexError, match="class 5 is out of range: logit has 0 to 4"):
        visualize_feature(tiny, None, 5, "logit")


@pytest.mark.parametrize("space", ["q", "k", "v", "attn_in", "attn_out", "resid"])
def test_every_space_can_be_visualised(tiny, space):
    """Breaks when a space has no gradient, so that nothing is gained."""
    made = visualize_feature(tiny, 1, 2, space, **straight())
    assert made.activation[0] > made.curves["activation"][0, 0]


def test_a_class_becomes_more_probable(tiny):
    """Breaks when the logits of another class are raised."""
    made = visualize_feature(tiny, None, [1, 4], "logit", **straight())
    probable = tiny.predict(torch.from_numpy(made.images).movedim(-1, 1) * 2 - 1)
    assert probable.argmax(axis=1).tolist() == [1, 4]


@pytest.mark.parametrize("family", ["swin_transformer", "pvt_v2", "convnext"])
def test_a_hierarchical_model_has_neurons_too(family):
    """Breaks when tokens in maps, windows or channels first are averaged over another axis."""
    chosen = next((tiny for tiny in EVERY if tiny.family == family), None)
    if family == "convnext":
        module = timm.create_model("test_convnext", pretrained=False).double().eval()
        size = (64, 64)
    else:
        module, size = chosen.model(), chosen.size
    model = vw.load(module, transform=sized(size))
    made = visualize_feature(model, 1, [0, 3], **straight())
    assert np.all(made.activation > made.curves["activation"][:, 0])


def test_channels_of_a_convolution():
    """A6: the mean over the map; breaks when channels and places are confused."""
    module = timm.create_model("test_resnet", pretrained=False).eval()
    model = vw.load(module, transform=sized((64, 64)))
    path = "layer3.0.conv2"
    made = visualize_feature(model, path, [1, 5], "output", **straight())
    kept = []
    handle = module.get_submodule(path).register_forward_hook(lambda *a: kept.append(a[2]))
    with torch.no_grad():
        module(model.normalize(torch.from_numpy(made.images).movedim(-1, 1)))
    handle.remove()
    expected = kept[0].mean(dim=(2, 3))[[0, 1], [1, 5]]
    assert np.allclose(made.activation, expected, rtol=1e-3)
    assert np.all(made.activation > made.curves["activation"][:, 0])
    assert made.note == ""


def test_a_text_is_compared_with_what_an_image_tower_returns():
    """Breaks when the image does not come closer to the text."""
    torch.manual_seed(0)
    clip = open_clip.CLIP(
        16,
        {"layers": 2, "width": 64, "patch_size": 8, "image_size": 32},
        {"layers": 1, "width": 64, "heads": 1, "vocab_size": 9, "context_length": 4},
    ).eval()
    with torch.no_grad():
        text = clip.encode_text(torch.tensor([[1, 2, 3, 8]]))[0]
    model = vw.load(clip)
    made = visualize_feature(model, space="text", direction=text, similarity="cosine", **straight())
    with torch.no_grad():
        seen = clip.encode_image(model.normalize(torch.from_numpy(made.images).movedim(-1, 1)))
    cosine = torch.cosine_similarity(seen, text[None]).item()
    assert made.activation[0] == pytest.approx(cosine, abs=1e-4)
    assert made.activation[0] > made.curves["activation"][0, 0]
    with pytest.raises(ValueError, match="a direction of 3 numbers was given, and text has 16"):
        visualize_feature(model, space="text", direction=[1.0, 2.0, 3.0])


def test_tokens_without_a_known_place_are_all_averaged_and_it_is_said(tiny):
    """Breaks when a guess about the patches is made silently."""
    model = tiny_vit(dtype=torch.float32)
    unknown = replace(site(model, 1), axis=None, note="where its tokens lie is not known")
    made = FeatureRun(model, unknown, 5, Settings(steps=1)).result()
    assert made.note == "averaged over all tokens: where its tokens lie is not known"
    cache = vw.capture(model, torch.from_numpy(made.images).movedim(-1, 1) * 2 - 1)
    assert made.activation[0] == pytest.approx(float(cache.neurons[1][0, :, 5].mean()), rel=1e-4)


def test_half_precision_gives_nearly_the_same_image():
    """Breaks when bfloat16 fails, is not used, or changes the model's own type."""
    model = vw.load("demo")
    full = visualize_feature(model, 1, 3, steps=12)
    half = visualize_feature(model, 1, 3, steps=12, precision="bfloat16")
    assert model.dtype == torch.float32
    assert not np.array_equal(full.image, half.image)
    assert np.corrcoef(full.image.ravel(), half.image.ravel())[0, 1] > 0.9
    assert half.activation[0] == pytest.approx(full.activation[0], rel=0.1)


# --- settings -------------------------------------------------------------------------------------


def test_a_saved_picture_makes_itself_again(tiny, tmp_path):
    """Breaks when a setting is not saved, or the picture is not the image."""
    made = visualize_feature(
        tiny, 1, [3, 8], **short("reference", direction=np.eye(128)[:9]), objective="least active"
    )
    made.save(tmp_path / "neurons.png")
    read = Settings.from_png(tmp_path / "neurons.png")
    assert read == made.settings
    again = visualize_feature(tiny, **read.arguments())
    assert np.array_equal(again.images, made.images)
    picture = np.asarray(Image.open(tmp_path / "neurons.png"))
    assert np.array_equal(picture, np.round(np.hstack(list(made.images)) * 255))
    json.dumps(made.params)
    Image.new("RGB", (4, 4)).save(tmp_path / "other.png")
    with pytest.raises(ValueError, match="carries no settings"):
        Settings.from_png(tmp_path / "other.png")


def test_the_reference_is_as_published():
    """Breaks when a number of the paper's code is changed."""
    made = PRESETS["reference"]
    assert (made.steps, made.copies, made.jitter) == (400, 8, 32)
    assert (made.learning_rate, made.betas, made.decay) == (0.1, (0.5, 0.99), "cosine")
    assert (made.noise, made.noise_scale, made.color_shift) == ("code", 0.5, (1, 1))
    assert (made.total_variation, made.ensemble) == ((0.0005,), "mean / copies")
    assert (made.parametrization, made.clip, made.objective) == ("pixel", True, "most active")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stesp": 3}, "no setting 'stesp'; did you mean steps"),
        ({"steps": 0}, "steps= must be a whole number of at least 1, and is 0"),
        ({"noise": "loud"}, "noise= must be one of 'code', 'paper', 'none', and is 'loud'"),
        ({"seed": -1}, "seed= must be a whole number from 0"),
        ({"neuron": 1.5}, "neuron= must be a whole number from 0"),
        ({"total_variation": float("nan")}, "total_variation= must be a number from 0"),
        ({"size": (3, 4, 5)}, "size= must be"),
        ({"learning_rate": 0}, "learning_rate= must be positive"),
        ({"parametrization": "pixel", "decorrelate": True}, "needs parametrization='fourier'"),
        ({"direction": [0, 0]}, "none of them all zeros"),
        ({"preset": "fast"}, "preset= must be one of 'preview', 'reference'"),
        ({"space": "logit"}, "has no layers; leave layer=None"),
        ({"layer": None}, "needs a layer"),
        ({"space": "thoughts"}, "the spaces are"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(tiny, changes, message):
    """Breaks when a wrong value is taken, or the error does not say what is accepted."""
    with pytest.raises((ValueError, TypeError), match=message):
        visualize_feature(tiny, **{"layer": 1, **changes})


def sized(size):
    """A transform to a size, that keeps colours."""
    from torchvision import transforms

    return transforms.Compose([transforms.Resize(size), transforms.ToTensor()])
