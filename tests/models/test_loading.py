"""Opening models, and leaving them as they were."""

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

import vit_widgets as vw
from tests.models.module_state import state_of
from vit_widgets.models import anatomy


@pytest.fixture(scope="module")
def tiny() -> nn.Module:
    """A small timm model."""
    torch.manual_seed(0)
    return timm.create_model("test_vit", pretrained=False).eval()


def test_a_model_is_left_as_it_was(tiny):
    """Breaks when a flag, hook, gradient or attribute stays on the module, in either mode."""
    picture = np.zeros((160, 160, 3), np.uint8)
    for training in (False, True):
        tiny.train(training)
        before = state_of(tiny)
        model = vw.load(tiny)
        model.predict(picture)
        vw.capture(model, picture)
        assert state_of(tiny) == before
    tiny.eval()


def test_a_model_is_left_as_it_was_after_an_exception(tiny):
    """Breaks when an error inside the forward leaves a hook or the evaluation mode behind."""

    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = tiny
            self.head = nn.Dropout()

        def forward(self, x):
            self.inner(x)
            msg = "the head is broken"
            raise ArithmeticError(msg)

    module = Fails().train()
    before = state_of(module)
    with pytest.raises(ArithmeticError, match="the head is broken"):
        vw.capture(vw.load(module), torch.zeros(1, 3, 160, 160))
    assert state_of(module) == before
    tiny.eval()


def test_preprocessing_is_the_models_own_and_the_picture_shows_what_it_sees(tiny):
    """Breaks when the shown picture is not the preprocessed one, mean and std undone."""
    model = vw.load(tiny)
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (200, 300, 3), np.uint8)
    pixels = model.transform(picture)
    config = timm.data.resolve_model_data_config(tiny)
    assert tuple(pixels.shape) == config["input_size"]
    mean, std = (torch.tensor(config[name])[:, None, None] for name in ("mean", "std"))
    seen = model.picture(pixels)
    assert np.abs(seen - ((pixels * std + mean) * 255).permute(1, 2, 0).numpy()).max() <= 0.51


def test_a_users_transform_is_used_and_its_normalisation_found():
    """Breaks when transform= is ignored, or its colours are shown normalised."""
    steps = torchvision.transforms
    transform = steps.Compose(
        [steps.Resize((32, 48)), steps.ToTensor(), steps.Normalize((0.1, 0.2, 0.3), (2, 2, 2))]
    )
    model = vw.load(nn.Conv2d(3, 2, 8, 8), transform=transform)
    picture = np.full((10, 10, 3), 100, np.uint8)
    assert model.transform(picture).shape == (3, 32, 48)
    assert (model.picture(model.transform(picture)) == 100).all()
    assert model.notes == ()


def test_what_is_assumed_is_said():
    """Breaks when a guessed preprocessing goes unmentioned."""
    model = vw.load(nn.Conv2d(3, 2, 8, 8))
    assert "assumed" in model.notes[0]
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, 100:200] = 255  # the middle third of a picture three times as wide as high
    assert model.transform(wide).shape == (3, 224, 224)
    assert float(model.transform(wide)[..., 8:-8].min()) > 0.9  # cut out, not squeezed


def test_predictions_are_probabilities_of_the_models_logits(tiny):
    """Breaks when predict reads other scores or another softmax axis."""
    x = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        expected = tiny(x).softmax(dim=1).numpy()
    assert np.array_equal(vw.load(tiny).predict(x), expected)


def test_a_bfloat16_model_gets_inputs_of_its_type():
    """Breaks when inputs keep float32 beside bf16 weights."""
    module = timm.create_model("test_vit", pretrained=False).eval().to(torch.bfloat16)
    assert vw.load(module).predict(np.zeros((9, 9, 3), np.uint8)).dtype == np.float32


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        ("vit_bse_patch16_224", ValueError, "'vit_base_patch16_224'"),
        (42, TypeError, "not a model"),
        (torch.jit.trace(nn.Identity(), torch.zeros(1)), TypeError, "traced or scripted"),
    ],
)
def test_what_is_no_model_is_refused_in_a_sentence(bad, error, says):
    """Breaks when a wrong model passes, or the message loses the way out."""
    with pytest.raises(error, match=says):
        vw.load(bad)


def test_no_network_says_how_to_go_on():
    """Breaks when a failed download surfaces as the hub's own traceback (tests run offline)."""
    with pytest.raises(ConnectionError, match=r"pretrained=False.*random weights"):
        vw.load("vit_tiny_patch16_224")


def test_a_compiled_model_opens_as_the_module_that_was_compiled(tiny):
    """Breaks when a compiled graph, which hides its attention, would be run."""
    model = vw.load(torch.compile(tiny, backend="eager"))
    assert model.module is tiny
    assert len(vw.capture(model, torch.zeros(1, 3, 160, 160)).attention) == 6


def test_a_model_opened_again_keeps_what_is_not_given(tiny):
    """Breaks when other labels would cost the model its name, its notes or its colours."""
    first = vw.load(tiny)
    again = vw.load(first, labels=["a", "b"])
    picture = np.random.default_rng(0).integers(0, 255, (160, 160, 3), np.uint8)
    assert (again.module, again.name, again.notes) == (tiny, first.name, first.notes)
    assert again.labels == ("a", "b")
    seen = [model.picture(model.transform(picture)) for model in (first, again)]
    assert np.array_equal(*seen)


def test_parts_may_be_registered_in_any_order():
    """Breaks when a model whose first registered convolution is a late one is refused."""
    late_first = nn.ModuleList([nn.Conv2d(64, 8, 1), nn.Conv2d(3, 64, 1)])
    assert vw.load(late_first).batch(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 8, 8)


def test_wrong_channels_and_mixed_sizes_are_refused(tiny):
    """Breaks when torch's own shape error would reach the user."""
    with pytest.raises(ValueError, match="4 channels"):
        vw.load(tiny).predict(torch.zeros(1, 4, 160, 160))
    with pytest.raises(ValueError, match="different shapes"):
        vw.load(tiny).batch([torch.zeros(3, 160, 160), torch.zeros(3, 96, 160)])


def test_prefix_tokens_are_named_by_kind():
    """Breaks when registers or distillation tokens go missing or change places."""
    names = anatomy.prefix_tokens(
        timm.create_model("vit_small_patch14_reg4_dinov2", pretrained=False, depth=1)
    )
    assert names == ("class", *(f"register {index}" for index in range(4)))


def test_blocks_are_blocks_not_stages():
    """Breaks when a hierarchical model yields its four stages."""
    module = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False).eval()
    blocks = vw.capture(module, torch.randn(1, 3, 224, 224)).blocks
    assert len(blocks) == 12
    assert blocks[0] == "layers.0.blocks.0"


def test_a_block_needs_no_telling_name():
    """Breaks when blocks are found by what their classes are called."""

    def part():
        return torch.nn.ModuleDict({"f": torch.nn.Linear(1, 1), "g": torch.nn.Linear(1, 1)})

    nested = torch.nn.ModuleDict({"inner": torch.nn.Sequential(part())})
    model = torch.nn.ModuleDict({"trunk": torch.nn.Sequential(part(), nested)})
    attending = ["trunk.0.f", "trunk.1.inner.0.g", "trunk.1.inner.0.g"]
    parts = anatomy.walk(model)
    assert anatomy.blocks_around(parts, attending) == ["trunk.0", "trunk.1.inner.0"]


def test_logits_are_found_in_whatever_a_model_returns():
    """Breaks when a token sequence is taken for class scores."""
    scores = torch.zeros(2, 10)
    assert anatomy.logits(scores) is scores
    assert anatomy.logits({"logits": scores}) is scores
    assert anatomy.logits((scores, None)) is scores
    assert anatomy.logits(torch.zeros(2, 197, 768)) is None
    assert anatomy.logits({"last_hidden_state": torch.zeros(2, 5, 8)}) is None
