"""A scan against brute force on the activations themselves, and everything that can go wrong."""

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vit_widgets as vw
from tests.dataset.tiny import assert_same, brute_scores, pictures, tiny
from tests.models.module_state import state_of as module_state
from vit_widgets.activations import read, sites

scan = vw.dataset.scan
IMAGES = pictures(11)


def assert_is_brute(index, scores, k):
    """Top images of every neuron are the best by sorting (image, neuron) scores of each layer."""
    for layer, table in enumerate(scores):
        for neuron in range(table.shape[1]):
            order = np.argsort(-table[:, neuron], kind="stable")[:k]
            top = index.top(layer, neuron)
            np.testing.assert_array_equal(top.ids, order)
            np.testing.assert_array_equal(top.scores, table[order, neuron])


@pytest.mark.parametrize(
    ("reduce", "by_hand"),
    [
        ("mean", lambda patches: patches.mean(1)),
        ("max", lambda patches: patches.amax(1)),
    ],
)
def test_a_scan_is_the_sorting_of_all_activations(reduce, by_hand):
    """Bit for bit in batches of the same images; breaks when a layer is shifted, a prefix token
    counts as a patch, or a neuron is taken for another.
    """
    module = tiny().double()
    index = scan(module, IMAGES, k=4, reduce=reduce, batch_size=11, progress=False)
    assert index.neurons == (128, 128)
    assert index.layers == ("blocks.0", "blocks.1")
    assert index.images == 11
    assert index.complete
    assert_is_brute(index, brute_scores(module, IMAGES, by_hand), 4)


@settings(max_examples=12, deadline=None)
@given(batch=st.integers(1, 12), k=st.integers(1, 11))
def test_any_batch_size_finds_the_same(batch, k):
    """Breaks with the last, shorter batch, or with images that are numbered by batch.

    In float64, so that a score is the same to float32 whatever its neighbours; images are repeated,
    so that there are ties everywhere.
    """
    images = [IMAGES[i] for i in (0, 1, 2, 0, 3, 1, 0, 4, 2, 5, 6)]
    module = tiny().double()
    index = scan(module, images, k=k, batch_size=batch, progress=False)
    scores = brute_scores(module, images)
    for table in scores:
        # equal pictures tie exactly, whatever batch they were in
        table[[3, 6, 5, 8]] = table[[0, 0, 1, 2]]
    assert_is_brute(index, scores, k)


def test_the_score_is_the_mean_of_the_activation_map():
    """A4 = mean of A5; breaks when the score and the map are of different tokens or values."""
    model = vw.load(tiny().double())
    index = scan(model, IMAGES, k=1, progress=False)
    for at in sites(model):
        with model.evaluating():
            maps = read(model, at, model.to_device(model.batch(IMAGES)))[:, at.patches]
        for neuron in range(0, at.features, 17):
            top = index.top(at.layer, neuron)
            one = maps[int(top.ids[0]), :, neuron].reshape(4, 4)  # rows and columns of patches
            assert np.float32(one.mean().item()) == top.scores[0]


def test_only_the_class_token_score_depends_on_the_class_token():
    """Breaks when a prefix token counts as a patch: its hidden units alone are changed here."""
    module = tiny()
    plain = {r: scan(module, IMAGES, reduce=r, progress=False) for r in ("mean", "class token")}

    def changed(_module, args):
        [values] = args
        values = values.clone()
        values[:, 0] += 100 * torch.arange(values.shape[-1])
        return (values,)

    last = module.blocks[1].mlp.fc2  # nothing that is scored comes after it
    handle = last.register_forward_pre_hook(changed)
    try:
        model = vw.load(module)
        other = {r: scan(model, IMAGES, reduce=r, progress=False) for r in plain}
    finally:
        handle.remove()
    assert_same(plain["mean"], other["mean"])
    ours, theirs = (each["class token"].top(1, 5).scores for each in (plain, other))
    np.testing.assert_allclose(theirs - ours, 500, rtol=1e-4)


def test_class_token_is_the_value_at_the_class_token():
    """Breaks when another prefix token is taken for it."""
    module = tiny("deit_tiny_distilled_patch16_224").double()
    index = scan(module, IMAGES, k=3, reduce="class token", progress=False)
    cache = vw.capture(module, IMAGES, keep=("neurons",))
    assert_is_brute(index, [v[:, 0].float().numpy() for v in cache.neurons], 3)


def test_a_model_with_two_prefix_tokens_is_scored_on_its_patches():
    """Breaks when one prefix token is assumed."""
    module = tiny("deit_tiny_distilled_patch16_224").double()
    index = scan(module, IMAGES, k=3, batch_size=11, progress=False)
    hidden = vw.capture(module, IMAGES, keep=("neurons",)).neurons
    assert hidden[0].shape[1] == 2 + 16
    assert_is_brute(index, [v[:, 2:].mean(1).float().numpy() for v in hidden], 3)


def test_a_hierarchical_model_is_scored_on_the_tokens_of_each_stage():
    """Breaks when the layers are taken to be equally wide or long."""
    torch.manual_seed(0)
    module = timm.create_model(
        "swin_tiny_patch4_window7_224", pretrained=False, img_size=64, window_size=4,
        embed_dim=16, depths=(2, 2), num_heads=(1, 2),
    ).eval().double()  # fmt: skip
    index = scan(module, IMAGES, k=3, batch_size=11, progress=False)
    assert index.neurons == (64, 64, 128, 128)
    hidden = vw.capture(module, IMAGES, keep=("neurons",)).neurons
    assert [v.shape[1] for v in hidden] == [256, 256, 64, 64]
    assert_is_brute(index, [v.mean(1).float().numpy() for v in hidden], 3)
    with pytest.raises(ValueError, match=r"class token.*has none.*use 'mean' or 'max'"):
        scan(module, IMAGES, k=3, reduce="class token", progress=False)


def test_a_convolutional_feed_forward_keeps_its_places():
    """Breaks when channels of a map (image, channel, row, col) are taken for tokens."""
    module = timm.create_model("convnext_atto", pretrained=False, depths=(1, 1, 1, 1)).eval()
    images = torch.randn(3, 3, 64, 64)
    index = scan(module, list(images), k=2, batch_size=3, progress=False)
    cache = vw.capture(module, images, keep=("neurons",))
    assert index.neurons == tuple(v.shape[-1] for v in cache.neurons)
    table = cache.neurons[0].mean(1).numpy()
    top = index.top(0, 5)
    np.testing.assert_allclose(top.scores, np.sort(table[:, 5])[::-1][:2], rtol=1e-5)


def test_half_precision_is_summed_in_float32():
    """Breaks when the mean of many half-precision values is accumulated in half precision."""
    model = vw.load(tiny().bfloat16())
    index = scan(model, IMAGES, k=11, batch_size=11, progress=False)
    hidden = vw.capture(model, IMAGES, keep=("neurons",)).neurons
    table = hidden[0][:, 1:].double().mean(1).numpy()
    for neuron in range(0, 128, 9):
        top = index.top(0, neuron)
        np.testing.assert_allclose(top.scores, table[top.ids, neuron], rtol=1e-5, atol=1e-7)


def test_a_scan_of_shards_merges_to_the_scan_of_all():
    """Breaks when a shard loses or repeats an image at its edge."""
    module = tiny()
    whole = scan(module, IMAGES, k=4, batch_size=2, sample=5, progress=False)
    shards = [
        scan(module, IMAGES, k=4, batch_size=2, sample=5, shard=(i, 4), progress=False)
        for i in range(4)
    ]
    assert [shard.complete for shard in shards] == [False] * 4
    assert sum(shard.images for shard in shards) == 11
    third, first, fourth, second = (shards[i] for i in (2, 0, 3, 1))
    merged = third.merge(first).merge(fourth.merge(second))
    assert merged.complete
    assert_same(merged, whole)
    with pytest.raises(ValueError, match=r"images 0 to \d+ are in both.*count twice"):
        merged.merge(first)


def test_threads_read_ahead_and_change_nothing():
    """Breaks when batches that are read on threads arrive in another order."""
    module = tiny()
    alone = scan(module, IMAGES, k=4, batch_size=2, progress=False)
    helped = scan(module, IMAGES, k=4, batch_size=2, workers=3, progress=False)
    assert_same(alone, helped)


def test_the_forward_ends_at_the_last_neurons():
    """Breaks when what comes after the last feed-forward layer is computed for nothing."""
    module = tiny()
    model, ran = vw.load(module), []
    sites(model)  # found by whole forwards, once
    handle = module.head.register_forward_hook(lambda *_: ran.append(1))
    scan(model, IMAGES, k=1, progress=False)
    handle.remove()
    assert not ran


# --- what is left behind ------------------------------------------------------------------------


class BoomError(Exception):
    """What somebody else's code raises."""


def _cancels(progress):
    return False


def _fails(progress):
    raise BoomError


def _interrupts(progress):
    raise KeyboardInterrupt


@pytest.mark.parametrize("way", [None, _cancels, _fails, _interrupts])
def test_the_model_is_as_it_was(way):
    """Breaks when a hook, a mode or a gradient is left after the end, a stop or an error."""
    module = tiny().train()
    module.blocks[0].eval()
    before = module_state(module)
    model = vw.load(module)
    if way is _fails:
        with pytest.raises(BoomError):
            scan(model, IMAGES, k=1, batch_size=2, progress=way)
    else:
        index = scan(model, IMAGES, k=1, batch_size=2, progress=way or False)
        assert index.complete == (way is None)
    assert module_state(module) == before
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("way", [_cancels, _interrupts])
def test_a_stopped_scan_gives_what_it_has(way):
    """Breaks when stopping loses what was seen, or calls it complete."""
    module, seen = tiny(), []

    def progress(now):
        seen.append(now)
        return way(now) if now.images == 6 else None

    index = scan(module, IMAGES, k=2, batch_size=2, progress=progress)
    assert index.images == 6
    assert not index.complete
    assert "not complete" in repr(index)
    assert_is_brute(
        scan(module, IMAGES[:6], k=2, batch_size=2, progress=False),
        [table[:6] for table in _tables(index)],
        2,
    )
    assert [now.images for now in seen] == [2, 4, 6]
    assert seen[-1].total == 11
    assert seen[-1].rate > 0
    assert seen[-1].remaining == pytest.approx(5 / seen[-1].rate)


def _tables(index):
    """Scores (image, neuron) of each layer, from an index whose k is all its images or more."""
    model = index.model
    found = [brute_scores(model, IMAGES[start : start + 2]) for start in range(0, index.images, 2)]
    return [np.concatenate(tables) for tables in zip(*found, strict=True)]


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"k": 0}, ValueError, "k must be at least 1, and is 0"),
        ({"k": 12}, ValueError, "k=12 is larger than a list of 11 images.*at most 11"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"sample": -1}, ValueError, "sample must be at least 0"),
        ({"workers": -1}, ValueError, "workers must be at least 0"),
        ({"every": -1}, ValueError, "every must be at least 0"),
        ({"reduce": "median"}, ValueError, "'median' is not known.*'mean', 'max', 'class token'"),
        ({"engine": "dask"}, ValueError, "'dask' is not known.*'local' or 'ray'"),
        ({"shard": (4, 4)}, ValueError, "the i-th of n parts"),
    ],
)
def test_settings_out_of_range_are_told_before_the_scan(settings, error, sentence):
    """Breaks when a bad setting is found only in the middle, or in words of another library."""
    with pytest.raises(error, match=sentence):
        scan(tiny(), IMAGES, progress=_fails, **{"k": 2, **settings})


def test_a_model_without_neurons_says_so():
    """Breaks when a model without feed-forward layers gives an empty index."""
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 8, 8), torch.nn.Flatten())
    with pytest.raises(ValueError, match="no feed-forward layer ran"):
        scan(vw.load(module), [torch.randn(3, 32, 32)] * 3, k=1, progress=False)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_names_image_and_neuron_and_leaves_the_checkpoint(tmp_path, value):
    """Breaks when NaN passes for the highest score, or the last good file is lost."""
    module = tiny()
    images = [torch.full((3, 32, 32), 0.1 * i) for i in range(6)]
    path = tmp_path / "index.safetensors"

    def poison(_module, args):
        [hidden] = args
        hidden = hidden.clone()
        if len(seen) == 2:  # images 4 and 5
            hidden[0, 3, 7] = value
        seen.append(1)
        return (hidden,)

    model, seen = vw.load(module), []
    sites(model)
    handle = module.blocks[1].mlp.fc2.register_forward_pre_hook(poison)
    sentence = rf"neuron 7 of layer 1 \(blocks.1\) is {value} on 'image 4' \(image 4\)"
    seen.clear()
    with pytest.raises(ValueError, match=sentence):
        scan(model, images, k=1, batch_size=2, checkpoint=path, every=0, progress=False)
    handle.remove()
    saved = vw.dataset.NeuronIndex.load(path)
    assert saved.images == 4
    assert_same(
        scan(model, images, k=1, batch_size=2, checkpoint=path, progress=False),
        scan(model, images, k=1, batch_size=2, progress=False),
    )


def test_overflow_of_half_precision_says_what_to_do():
    """Breaks when infinity in float16 is a riddle."""
    model = vw.load(tiny().half())
    sites(model)
    with torch.no_grad():
        model.module.blocks[1].mlp.fc1.bias[5] = 65504
        model.module.blocks[1].mlp.fc1.weight[5, 0] = 30000
    with pytest.raises(ValueError, match=r"neuron 5 of layer 1.*float16 overflows beyond 65504"):
        scan(model, IMAGES, k=1, progress=False)


def test_images_of_two_sizes_are_refused():
    """Breaks when a stack of different shapes fails in words of another library."""
    images = [torch.zeros(3, 32, 32), torch.zeros(3, 40, 40)]
    with pytest.raises(ValueError, match=r"different shapes, \[\(3, 32, 32\), \(3, 40, 40\)\]"):
        scan(tiny(), images, k=1, progress=False)


def test_a_random_preprocessing_is_refused():
    """Breaks when a training transform gives an index that no second scan could give."""
    draws = np.random.default_rng(0)
    model = vw.load(tiny(), transform=lambda picture: torch.tensor(draws.random((3, 32, 32))))
    with pytest.raises(ValueError, match=r"preprocessing of .* is random.*evaluation transform"):
        scan(model, IMAGES, k=1, progress=False)


def test_an_interrupt_in_the_middle_of_a_forward_keeps_the_batches_before():
    """Breaks when Ctrl-C within a forward leaves hooks, or half a batch in the index."""
    module, batches = tiny(), []
    model = vw.load(module)
    sites(model)

    def interrupt(*_):
        batches.append(1)
        if len(batches) == 4:
            raise KeyboardInterrupt

    handle = module.blocks[1].attn.register_forward_hook(interrupt)
    before = module_state(module)
    index = scan(model, IMAGES, k=2, batch_size=2, progress=False)
    assert module_state(module) == before
    handle.remove()
    assert index.images == 2 * (len(batches) - 1)
    assert index.images < 11
    part = scan(module, IMAGES[: index.images], k=2, batch_size=2, progress=False)
    for layer in (0, 1):
        for neuron in range(128):
            np.testing.assert_array_equal(index.top(layer, neuron).ids, part.top(layer, neuron).ids)
