"""A forward that is resumed gives what the whole forward gives, and costs what is left of it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import vit_widgets as vw
from tests.activations.tiny_heads import plain
from tests.models.module_state import state_of
from vit_widgets.activations.replay import Replay, recording

BLOCKS = [f"blocks.{layer}" for layer in range(3)]
PATHS = [*BLOCKS, *(f"{block}.attn" for block in BLOCKS)]


@pytest.fixture(scope="module")
def model():
    """Three blocks."""
    return vw.load(plain())


@pytest.fixture(scope="module")
def batch():
    """Two images."""
    return torch.randn(
        2, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )


@pytest.fixture
def replay(model, batch):
    """A forward of both, kept."""
    with model.evaluating(), recording(model, PATHS, 2) as calls:
        model.run(batch)
    return Replay(model, batch, calls, BLOCKS)


@pytest.mark.parametrize("path", PATHS)
def test_resuming_equals_a_hook_that_replaces(model, batch, replay, path):
    """Breaks when something before the edit is not what it was, or images and edits are mixed."""
    at = replay.call(path)
    generator = torch.Generator().manual_seed(3)
    edits = torch.randn(3, *at.stream.shape, dtype=torch.float64, generator=generator)
    with model.evaluating():
        [found] = replay.resume(at, edits, lambda rows: (model.run(rows),))
        for edit, scores in zip(edits, found, strict=True):
            handle = model.module.get_submodule(path).register_forward_hook(
                lambda _m, _a, _o, edit=edit: edit
            )
            expected = model.run(batch)
            handle.remove()
            assert torch.allclose(scores, expected, rtol=0, atol=1e-10)
    assert found.shape == (3, 2, 5)


def test_what_is_kept_is_not_written_over():
    """Breaks when a block's output is kept as it is, and the model adds to it in place."""
    torch.manual_seed(0)
    blocks = torch.nn.ModuleList([torch.nn.Linear(4, 4) for _ in range(2)]).double()

    def forward(_module, x):
        for block in blocks:
            x = block(x)
            x += 1
        return x

    model = vw.load(blocks, forward=forward)
    batch = torch.ones(2, 4, dtype=torch.float64)
    with model.evaluating():
        with recording(model, ["0", "1"], 2) as calls:
            expected = model.run(batch)
        replay = Replay(model, batch, calls, ["0", "1"])
        at = replay.call("1")
        [found] = replay.resume(at, at.stream[None], lambda rows: (model.run(rows),))
    assert torch.equal(found[0], expected)


def test_only_what_comes_after_is_run(model, replay):
    """Breaks when a block before the edit runs again: counted by hooks on what is within it."""
    ran = []
    handles = [
        model.module.get_submodule(f"{block}.mlp.fc1").register_forward_hook(
            lambda _m, _a, output, block=block: ran.append((block, len(output)))
        )
        for block in BLOCKS
    ]
    with model.evaluating():
        for path in ("blocks.1.attn", "blocks.1"):
            at = replay.call(path)
            replay.resume(at, at.stream.expand(4, *at.stream.shape), lambda x: (model.run(x),))
    for handle in handles:
        handle.remove()
    assert ran == [("blocks.1", 8), ("blocks.2", 8), ("blocks.2", 8)]
    assert replay.evaluations == 3 * 8


def test_unchanged_it_gives_the_same(model, batch, replay):
    """Breaks when what is kept is a view that the model has written over since."""
    at = replay.call("blocks.0")
    with model.evaluating():
        [found] = replay.resume(at, at.stream[None], lambda rows: (model.run(rows),))
        assert torch.equal(found[0], model.run(batch))


def test_nothing_is_left_after_an_exception(batch):
    """Breaks when the model's own forward is not put back, or a hook stays."""
    model = vw.load(plain())
    before = state_of(model.module)
    with model.evaluating(), recording(model, PATHS, 2) as calls:
        model.run(batch)
    replay = Replay(model, batch, calls, BLOCKS)

    def fail(_rows):
        raise KeyboardInterrupt

    at = replay.call("blocks.1")
    with model.evaluating(), pytest.raises(KeyboardInterrupt):
        replay.resume(at, at.stream[None], fail)
    with pytest.raises(KeyboardInterrupt), model.evaluating(), recording(model, PATHS, 2):
        raise KeyboardInterrupt
    assert state_of(model.module) == before


def test_other_threads_run_the_model_itself(model, batch, replay):
    """Breaks when a forward in the user's cell is answered from memory."""
    with torch.no_grad():
        plainly = model.module(batch)
    at, elsewhere = replay.call("blocks.2"), []

    def forward(rows):
        with ThreadPoolExecutor(1) as pool, torch.no_grad():
            elsewhere.append(pool.submit(torch.no_grad()(model.module), batch).result())
        return (model.run(rows),)

    with model.evaluating():
        replay.resume(at, 2 * at.stream[None], forward)
    assert torch.equal(elsewhere[0], plainly)


def test_a_forward_that_goes_another_way_is_noticed(model, batch, replay):
    """Breaks when an edit that was never reached passes for one without effect."""
    at = replay.call("blocks.1")
    with model.evaluating(), pytest.raises(RuntimeError, match=r"did not run blocks\.1 again"):
        replay.resume(at, at.stream[None], lambda rows: (rows,))


def test_a_forward_of_nan_is_not_confirmed():
    """Breaks when comparing NaN raises, in place of the sentence that the scores are NaN."""
    module = plain()
    with torch.no_grad():
        module.head.bias.fill_(float("nan"))
    model = vw.load(module)
    image = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    with pytest.raises(ValueError, match="NaN"):
        vw.probes.head_gradients(model, image)
