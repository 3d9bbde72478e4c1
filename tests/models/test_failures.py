"""Models that do not work as they are: one sentence on what was tried, and an example that works.

The examples are not repeated here: they are cut out of the messages and run.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import timm
import torch
import transformers as hf
from torch import nn

import vit_widgets as vw
from tests.models.module_state import state_of
from vit_widgets.models.calling import hidden_attention

X = torch.rand(2, 3, 8, 8)


def example(message: object, **names: Any) -> Any:
    """Run the example of a message."""
    text = str(message)
    start = text.index("for example ") + len("for example ")
    depth, end = 0, start
    for end in range(start, len(text)):
        depth += (text[end] in "([{") - (text[end] in ")]}")
        if depth == 0 and text[end] == ")":
            break
    return eval(text[start : end + 1], {"load": vw.load, "torch": torch, **names})


class Scores(nn.Module):
    """Three scores from the mean colour of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        """Scores (image, class)."""
        return self.head(x.mean(dim=(2, 3)))


class Shaped(Scores):
    """Takes 16 × 16 pixels only."""

    def forward(self, x):
        """Fails at any other size."""
        return super().forward(x.view(len(x), 3, 16, 16))


class Pair(Scores):
    """Takes a second image."""

    def forward(self, image, other, *, weight):
        """The difference of two images."""
        return super().forward(image) - weight * super().forward(other)


class Elsewhere(Scores):
    """Has an entry of another name."""

    def encode(self, x):
        """Scores (image, class)."""
        return Scores.forward(self, x)

    def forward(self, x):
        """What a base class leaves open."""
        raise NotImplementedError


def failure(module: nn.Module, images: object = X) -> RuntimeError:
    """Run a model that fails, in a prediction and in a capture."""
    before = state_of(module)
    model = vw.load(module)
    with pytest.raises(RuntimeError) as predicting:
        model.predict(images)
    with pytest.raises(RuntimeError) as capturing:
        vw.capture(model, images)
    assert str(capturing.value) == str(predicting.value)
    assert state_of(module) == before
    return predicting.value


def test_a_size_that_does_not_suit_is_named_with_the_way_out():
    """Breaks when the shape that was tried, or torch's own words, are lost."""
    error = failure(Shaped())
    assert "the forward of Shaped failed on a float32 batch (2, 3, 8, 8)" in str(error)
    assert "RuntimeError: shape '[2, 3, 16, 16]' is invalid" in str(error)
    assert "another size, pass a transform=" in str(error)
    assert isinstance(error.__cause__, RuntimeError)
    assert "\n" not in str(error)

    resized = vw.load(Shaped(), transform=lambda picture: torch.rand(3, 16, 16))
    assert resized.predict(np.zeros((5, 5, 3), np.uint8)).shape == (1, 3)


def test_another_entry_is_passed_as_forward():
    """Breaks when the example for a forward that does nothing would not run."""
    module = Elsewhere()
    error = failure(module)
    assert isinstance(error.__cause__, NotImplementedError)
    assert example(error, module=module).predict(X).shape == (2, 3)


def test_a_second_image_is_named_and_passed():
    """Breaks when missing inputs go unnamed, or the example leaves one out."""
    module = Pair()
    error = failure(module)
    assert "it also takes other, weight" in str(error)
    assert isinstance(error.__cause__, TypeError)
    model = example(error, module=module, other=torch.rand(1, 3, 8, 8), weight=2.0)
    assert model.predict(X).shape == (2, 3)
    assert vw.capture(model, X).logits.shape == (2, 3)


def test_a_model_of_images_and_text_says_that_it_needs_the_text():
    """Breaks when a model whose text is needed only fails inside, without a word on it."""
    config = hf.ViltConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        vocab_size=9,
        image_size=32,
        patch_size=8,
        num_labels=4,
    )
    module = hf.ViltForQuestionAnswering(config).eval()
    error = failure(module, torch.rand(1, 3, 32, 32))
    assert "it also takes input_ids" in str(error)
    model = example(error, module=module, input_ids=torch.tensor([[1, 2, 3]]))
    assert model.predict(torch.rand(1, 3, 32, 32)).shape == (1, 4)


def test_a_text_model_is_refused_when_it_is_opened():
    """Breaks when a model without an image input only fails at its first image."""
    config = hf.BertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        vocab_size=9,
    )
    module = hf.BertForSequenceClassification(config).eval()
    with pytest.raises(ValueError, match="has no image input: its forward takes input_ids") as said:
        vw.load(module)

    def tokens_of(batch):
        return (batch.mean(dim=(2, 3)) * 8).long()

    model = example(said.value, module=module, tokens_of=tokens_of)
    assert model.predict(X).shape == (2, 2)


def test_an_error_in_ones_own_forward_is_shown_as_it_is():
    """Breaks when the user's own mistake is wrapped in words about the model."""

    def mine(module, batch):
        return module.encode(batch)

    model = vw.load(Scores(), forward=mine)
    with pytest.raises(AttributeError, match="'Scores' object has no attribute 'encode'"):
        model.predict(X)


@pytest.mark.parametrize(
    "error", [torch.cuda.OutOfMemoryError("no memory"), KeyboardInterrupt(), ZeroDivisionError()]
)
def test_what_the_input_did_not_cause_passes_unchanged(error):
    """Breaks when an interrupt, or a full memory, is blamed on the call."""

    class Fails(Scores):
        def forward(self, x):
            raise error

    with pytest.raises(type(error)) as raised:
        vw.load(Fails()).predict(X)
    assert raised.value is error


@dataclass
class Output:
    """A result of one's own."""

    maps: torch.Tensor
    names: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("output", "described"),
    [
        (None, "None"),
        ({"scores": X, "boxes": X}, "a dict with scores, boxes"),
        ((X, X), "a tuple of 2"),
        (Output(X), "a Output with maps, names"),
        (X, r"a tensor \(2, 3, 8, 8\)"),
    ],
    ids=["None", "dict", "tuple", "dataclass", "map"],
)
def test_an_output_without_scores_is_described(output, described):
    """Breaks when an output is described wrongly, or the example would not run."""

    class Returns(Scores):
        def forward(self, x):
            return output

    module = Returns()
    model = vw.load(module)
    assert vw.capture(model, X).logits is None
    with pytest.raises(
        ValueError, match=rf"no \(image, class\) scores but {described}, so"
    ) as said:
        model.predict(X)

    def classify(output):
        return torch.eye(2)

    assert example(said.value, module=module, classify=classify).predict(X).shape == (2, 2)


def test_features_are_not_predictions():
    """Breaks when the softmax of an embedding is given as probabilities."""
    module = timm.create_model("test_vit", num_classes=0)
    with pytest.raises(ValueError, match=r"but a tensor \(1, 64\)"):
        vw.load(module).predict(np.zeros((9, 9, 3), np.uint8))


def test_weights_that_are_not_a_number_are_named():
    """Breaks when NaN is given as a probability."""
    module = Scores()
    nn.init.constant_(module.head.weight, torch.nan)
    model = vw.load(module)
    with pytest.raises(ValueError, match=r"Scores are NaN; its 'head.weight' holds NaN"):
        model.predict(X)


def test_overflow_in_float16_is_named():
    """Breaks when finite weights are blamed for what the type did."""
    module = Scores()
    nn.init.constant_(module.head.weight, 60000)
    half = vw.load(module.to(torch.float16))
    with pytest.raises(ValueError, match="float16 overflows beyond 65504"):
        half.predict(torch.ones(1, 3, 8, 8))
    assert vw.load(module.float()).predict(torch.ones(1, 3, 8, 8)).shape == (1, 3)


def test_scores_that_are_masked_out_are_no_failure():
    """Breaks when a class at minus infinity, which has probability 0, is taken for NaN."""

    class Masked(Scores):
        def forward(self, x):
            return super().forward(x).index_fill(1, torch.tensor(0), -torch.inf)

    assert (vw.load(Masked()).predict(X)[:, 0] == 0).all()


def test_weights_without_a_shape_are_refused():
    """Breaks when a lazy module is opened, and would be changed by its first forward."""
    module = nn.Sequential(nn.LazyConv2d(4, 8), nn.Flatten(), nn.LazyLinear(3))
    before = state_of(module[1])
    with pytest.raises(ValueError, match=r"lazy parts without a shape yet \(0.weight\)") as said:
        vw.load(module)
    assert isinstance(module[0], nn.LazyConv2d)
    assert state_of(module[1]) == before
    example(said.value, module=module)
    assert vw.load(module).predict(torch.rand(1, 3, 224, 224)).shape == (1, 3)


def test_weights_without_values_are_refused():
    """Breaks when a model on the meta device is opened, and fails later without a reason."""
    weights = Scores().state_dict()
    with torch.device("meta"):
        module = Scores()
    with pytest.raises(ValueError, match=r"meta device and have no values \(head.weight\)") as said:
        vw.load(module)
    example(said.value, module=module)
    module.load_state_dict(weights)
    assert vw.load(module).predict(X).shape == (2, 3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantised_weights_run_and_quantised_images_are_explained():
    """Breaks when a dynamically quantised model is refused, or a static one fails darkly."""
    from torch.ao import quantization

    if "fbgemm" in torch.backends.quantized.supported_engines:
        torch.backends.quantized.engine = "fbgemm"
    module = timm.create_model("test_vit").eval()
    dynamic = quantization.quantize_dynamic(module, {nn.Linear}, dtype=torch.qint8)
    model = vw.load(dynamic)
    x = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        expected = dynamic(x)
    cache = vw.capture(model, x)
    assert torch.equal(cache.logits, expected)
    assert len(cache.attention) == 6

    static = torch.ao.nn.quantized.Conv2d(3, 4, 8)
    error = failure(nn.Sequential(static, nn.Flatten()))
    assert "quantised module" in str(error)
    assert "open the float module" in str(error)


def test_a_custom_kernel_gets_its_sentence():
    """Breaks when the example of the sentence names a class that the model does not have."""

    class KernelAttention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k = nn.Linear(3, 3), nn.Linear(3, 3)

    module = nn.Sequential(nn.Linear(3, 3), KernelAttention())
    sentence = hidden_attention(module)
    assert "Sequential shows torch no attention" in sentence
    model = example(sentence, module=module)
    assert list(model.attention) == ["KernelAttention"]


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"forward": 3}, TypeError, "function of (module, batch), not a int"),
        ({"attention": [1]}, TypeError, "mapping from a class"),
        ({"attention": {"Linear": 3}}, TypeError, "to a function"),
        ({"attention": {"Linaer": print}}, ValueError, "names 'Linaer', and no part of Scores"),
        ({"attention": {nn.GELU: print}}, ValueError, "parts are, among others, Linear, Scores"),
        ({"grid": 14}, ValueError, "(rows, cols), two positive whole numbers, and is 14"),
        ({"grid": (14, 0)}, ValueError, "and is (14, 0)"),
        ({"grid": (3.5, 4)}, ValueError, "and is (3.5, 4)"),
    ],
)
def test_what_is_passed_wrongly_is_refused_in_a_sentence(given, error, says):
    """Breaks when a wrong forward=, attention= or grid= only fails later."""
    with pytest.raises(error, match=re.escape(says)):
        vw.load(Scores(), **given)


def test_what_is_given_stays_when_a_model_is_opened_again():
    """Breaks when forward=, attention= or grid= are lost by opening with something else."""
    attention = {nn.Linear: lambda module, x: (x, x)}

    def twice(module, batch):
        return 2 * module(batch)

    module = Scores()
    first = vw.load(module, forward=twice, attention=attention, grid=(2, 3))
    again = vw.load(first, labels=["a", "b", "c"])
    assert (again.forward, again.attention, again.grid) == (twice, attention, (2, 3))
    other = vw.load(again, forward=lambda module, batch: module(batch), grid=[4, 5])
    assert (other.labels, other.attention, other.grid) == (("a", "b", "c"), attention, (4, 5))
    with torch.no_grad():
        assert torch.equal(again.run(X), 2 * other.run(X))
