"""What the user says of a model that hides its attention, or where its tokens lie."""

import numpy as np
import pytest
import torch
from torch import nn

import vit_widgets as vw


class _Hidden(torch.autograd.Function):
    """Stands for a custom kernel: torch shows nothing of what happens inside."""

    @staticmethod
    def forward(_context, q, k, v):
        with torch._C.DisableTorchFunction():
            return torch.from_numpy(
                (((q @ k.mT) * q.shape[-1] ** -0.5).softmax(dim=-1) @ v).numpy()
            )


class Kernel(nn.Module):
    """Attention in a custom kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        """Attend where torch does not see it."""
        with torch._C.DisableTorchFunctionSubclass():
            return _Hidden.apply(self.q(x), self.k(x), self.v(x))


class Net(nn.Module):
    """Patches, two hidden attentions, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, 8)
        self.blocks = nn.ModuleList([Kernel(), Kernel()])
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        """Classify."""
        x = self.patches(x).flatten(2).mT
        for block in self.blocks:
            x = x + block(x)
        return self.head(x.mean(1))


@pytest.fixture
def net() -> Net:
    """The same weights each time, in float64."""
    torch.manual_seed(0)
    return Net().double().eval()


def test_a_hidden_kernel_is_seen_through_what_the_user_says(net):
    """Weights × values is the module's own output to 1e-10, and the patches have their places;
    breaks when q and k are read at another call, or a hook stays.
    """
    assert vw.capture(net, torch.zeros(1, 3, 16, 32).double()).attention == ()
    model = vw.load(net, attention={"Kernel": lambda module, x: (module.q(x), module.k(x))})
    x = torch.randn(2, 3, 16, 32, dtype=torch.float64)
    with torch.no_grad():
        expected = net(x)
    cache = vw.capture(model, x)
    assert torch.equal(cache.logits, expected.float())
    assert [record.name for record in cache.attention] == ["blocks.0", "blocks.1"]
    first = cache.attention[0]
    with torch.no_grad():
        tokens = net.patches(x).flatten(2).mT
        for image in (0, 1):
            weights = torch.from_numpy(first.weights(image=image, head=0))
            output = net.blocks[0](tokens)[image]
            assert torch.allclose(weights @ net.blocks[0].v(tokens)[image], output, atol=1e-10)
    assert (first.source, first.geometry) == ("given", "rule")
    assert (first.key_axis.grid.rows, first.key_axis.grid.cols) == (2, 4)
    assert all(not part._forward_hooks for part in net.modules())


def test_weights_may_be_given_instead_of_q_and_k(net):
    """Breaks when a matrix is softmaxed once more, or needs a head axis."""
    told = {Kernel: lambda module, x: (module.q(x) @ module.k(x).mT).softmax(-1)}
    x = torch.randn(1, 3, 16, 32, dtype=torch.float64)
    record = vw.capture(vw.load(net, attention=told), x).attention[0]
    with torch.no_grad():
        tokens = net.patches(x).flatten(2).mT
        expected = told[Kernel](net.blocks[0], tokens)
    assert np.allclose(record.weights(), expected.numpy(), atol=1e-12)


def test_what_is_no_attention_is_refused_in_a_sentence(net):
    """Breaks when a wrong answer ends in a shape error far away."""
    model = vw.load(net, attention={"Kernel": lambda *_: None})
    with pytest.raises((TypeError, RuntimeError), match=r"it must return \(q, k\)"):
        vw.capture(model, torch.zeros(1, 3, 16, 32).double())


def test_a_grid_that_the_user_gives_is_used_where_none_was_found():
    """Breaks when `grid=` is ignored, or overrides what the model itself confirmed."""

    class Ranked(nn.Module):
        """Tokens in an order that their content decides."""

        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 8, 8, 8)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            x = self.patches(x).flatten(2).mT
            x = x.gather(1, x[..., :1].argsort(1).expand_as(x))
            return self.attention(x, x, x, need_weights=False)[0].mean(1)

    torch.manual_seed(0)
    ranked, x = Ranked().eval(), torch.randn(1, 3, 16, 32)
    [record] = vw.capture(ranked, x).attention
    assert record.geometry == "unknown"
    assert "chooses, merges or shuffles" in record.reason
    [record] = vw.capture(vw.load(ranked, grid=(2, 4)), x).attention
    assert record.geometry == "given"
    assert record.to_image(np.arange(8.0)).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    [record] = vw.capture(vw.load(ranked, grid=(3, 3)), x).attention
    assert record.geometry == "unknown"
