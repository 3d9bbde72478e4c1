"""What is explained: the right number, its words, and refusals that say what to do."""

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

import vit_widgets as vw
from tests.models.module_state import state_of
from tests.probes.attribution.tiny_vit import pictures, tiny_vit
from vit_widgets.probes.target import one_image, question, with_embedding

LABELS = ("ant", "bee", "cat", "dog", "elk")


def asked(target: object, images: int = 3) -> tuple:
    """Give a score, what it reads of some images, and the logits."""
    model, batch = vw.load(tiny_vit(), labels=LABELS), pictures(images)
    about = question(model, target)
    with about.model.evaluating():
        output = about.model.run(batch)
        score = about.score(output)
        found = score(output)
    with torch.no_grad():
        logits = model.module(batch)
    return score, found, logits


@pytest.mark.parametrize(
    ("target", "words", "index", "number"),
    [
        (2, "class 2, cat", 2, lambda z: z[:, 2]),
        (np.int64(2), "class 2, cat", 2, lambda z: z[:, 2]),
        (("margin", 0, 4), "class 0, ant against class 4, elk", None, lambda z: z[:, 0] - z[:, 4]),
        (("probability", 3), "probability of class 3, dog", 3, lambda z: z.softmax(1)[:, 3]),
        (lambda z: (z**2).sum(), "a function of the user", None, lambda z: (z**2).sum(1)),
        (torch.max, "the function max", None, lambda z: z.max(1).values),
    ],
)
def test_a_target_reads_what_it_says(target: object, words: str, index: int | None, number):
    """Breaks when another class is read, images are mixed, or the words name something else."""
    score, found, logits = asked(target)
    assert score.read_out.words == words
    assert score.read_out.index == index
    torch.testing.assert_close(found, number(logits), rtol=0, atol=1e-12)


def test_the_predicted_class_is_settled_by_the_first_image():
    """Breaks when each variant of an image is asked for the class that it would be taken for."""
    score, found, logits = asked(None, 40)
    first = int(logits[0].argmax())
    assert (logits.argmax(1) != first).any()
    assert score.read_out.index == first
    assert score.read_out.words == f"class {first}, {LABELS[first]} (predicted)"
    torch.testing.assert_close(found, logits[:, first])
    score, found, _ = asked(("probability", None), 40)
    torch.testing.assert_close(found, logits.softmax(1)[:, first])
    assert score.read_out.words == f"probability of class {first}, {LABELS[first]} (predicted)"


def test_embeddings_are_what_the_last_layer_reads():
    """Breaks when logits are compared, or features before the norm."""
    other = pictures(3)[2:]
    score, found, _ = asked(("embedding", other))
    module = tiny_vit()
    with torch.no_grad():
        vectors = module.forward_head(module.forward_features(pictures(3)), pre_logits=True)
    expected = F.cosine_similarity(vectors, vectors[2:], dim=-1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert found[2] == pytest.approx(1)
    assert "similarity to another image" in score.read_out.words


def test_a_model_without_classes_has_the_vectors_that_it_returns():
    """Breaks when a tower is asked for scores that it has not."""
    module = tiny_vit(num_classes=0)
    about = question(vw.load(module), ("embedding", pictures(2)[1:]))
    with about.model.evaluating():
        output = about.model.run(pictures(2))
        found = about.score(output)(output)
    with torch.no_grad():
        vectors = module(pictures(2))
    torch.testing.assert_close(found, F.cosine_similarity(vectors, vectors[1:], dim=-1))


def test_a_function_of_an_output_without_scores_is_given_that():
    """Breaks when an output that is no tensor is cut, or run in batches."""

    class Boxes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 4).double()

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"boxes": self.layer(x.mean((2, 3)))[:, None]}

    model = vw.load(Boxes())
    about = question(model, lambda out: out["boxes"][0, 0, 2])
    with model.evaluating():
        score = about.score(model.run(pictures(1)))
    assert score.one_by_one
    with torch.no_grad():
        expected = model.module(pictures(3))["boxes"][:, 0, 2]
    np.testing.assert_allclose(score.of(pictures(3)), expected.numpy(), atol=1e-12)


def test_variants_are_read_in_batches_of_any_size():
    """Breaks when the last batch is left out, or images are read in another order."""
    score, found, _ = asked(1, 5)
    for at_once in (1, 2, 5, 9):
        np.testing.assert_allclose(score.of(pictures(5), at_once), found.numpy(), atol=1e-12)


def test_nothing_is_left_on_the_module():
    """Breaks when a hook that looked for the embedding stays, or a mode does."""
    module = tiny_vit()
    module.blocks[0].train()
    before = state_of(module)
    about = question(vw.load(module), ("embedding", pictures()))
    about.score(about.model.run(pictures()))
    assert state_of(module) == before


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (5, ValueError, "target 5 is out of range: .* classes 0 to 4"),
        (-1, ValueError, "target -1 is out of range"),
        (("margin", 0, 5), ValueError, "target 5 is out of range"),
        (("margin", 0), TypeError, r"target=\('margin', 0\) is not known; it is a class"),
        (("class", 0), TypeError, "is not known"),
        ("ant", TypeError, "target='ant' is not known"),
        (True, TypeError, "target=True is not known"),
        (1.0, TypeError, "is not known"),
        (lambda z: z[:, 1:], TypeError, r"returned \(1, 4\); it must return one number"),
        (lambda z: float(z.sum()), TypeError, "returned float; it must return one number"),
        (("embedding", pictures(2)), ValueError, "names one image; 2 were given"),
    ],
)
def test_what_is_no_target_is_refused(target: object, error: type[Exception], message: str):
    """Breaks when a typo explains something else, or ends in an error of torch's."""
    with pytest.raises(error, match=message):
        asked(target)


def test_a_model_without_scores_says_so():
    """Breaks when features are taken for classes."""
    model = vw.load(tiny_vit(num_classes=0))
    with pytest.raises(ValueError, match="no \\(image, class\\) scores"):
        question(model).score(model.run(pictures()))


def test_scores_that_are_not_numbers_predict_nothing():
    """Breaks when NaN is taken for the largest score."""
    module = tiny_vit()
    torch.nn.init.constant_(module.head.bias, torch.nan)
    model = vw.load(module)
    with pytest.raises(ValueError, match="the scores of VisionTransformer are NaN"):
        question(model).score(model.run(pictures()))


def test_scores_of_two_heads_have_no_embedding():
    """Breaks when the vector of one of the two heads is given out for that of both."""
    torch.manual_seed(0)
    sizes = {"img_size": (32, 48), "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}
    model = timm.models.deit.VisionTransformerDistilled(**sizes, num_classes=5).double().eval()
    with pytest.raises(ValueError, match="not what one linear layer returns"):
        with_embedding(vw.load(model), pictures())


def test_a_map_is_of_one_image():
    """Breaks when the first of several is taken without a word."""
    with pytest.raises(ValueError, match="2 images were given; a map is of one"):
        one_image(vw.load(tiny_vit()), pictures(2))
