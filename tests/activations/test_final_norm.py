"""The norm behind the last block: found where there is one, and nothing is left behind."""

import pytest
import torch
import torchvision
import transformers
from torch import nn

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache
from vit_widgets.activations.final_norm import final_norm, normed


def captured(module: nn.Module) -> vw.ActivationCache:
    """Keep the tokens of a model of 32 x 32 pixels."""
    return vw.capture(module.eval(), torch.rand(2, 3, 32, 32), keep=("tokens",))


def test_the_norm_is_found_whatever_its_name():
    """Breaks when it is known by its name, or the norm before the blocks is taken."""
    torch.manual_seed(0)
    sizes = {"image_size": 32, "patch_size": 8, "hidden_size": 16, "intermediate_size": 32}
    layers = {"num_hidden_layers": 2, "num_attention_heads": 2}
    vit = transformers.ViTForImageClassification(transformers.ViTConfig(**sizes, **layers))
    assert final_norm(captured(vit)) == "vit.layernorm"
    clip = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**sizes, **layers))
    assert final_norm(captured(clip)).endswith("post_layernorm")
    theirs = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=3)
    assert final_norm(captured(theirs)) == "encoder.ln"
    assert final_norm(tiny_cache(pre_norm=True)) == "norm"


def test_a_norm_of_pooled_tokens_is_none_of_tokens():
    """Breaks when the norm that a model applies to its mean is applied to each token."""
    assert final_norm(tiny_cache(global_pool="avg")) == ""


def test_the_model_is_asked_once_and_left_as_it_was():
    """Breaks when a hook or a flag stays, or every question costs a forward."""
    cache = tiny_cache()
    module = cache.model.module.train()
    with torch.no_grad():
        expected = module.eval()(cache.images)
    module.train()
    calls = []
    handle = module.register_forward_pre_hook(lambda *_: calls.append(1))
    assert final_norm(cache) == final_norm(cache) == "norm"
    handle.remove()
    assert len(calls) == 1
    assert module.training
    assert all(part.training for part in module.modules())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    with torch.no_grad():
        assert torch.equal(module.eval()(cache.images), expected)


def test_a_forward_that_fails_leaves_no_hook():
    """Breaks when hooks are not taken away after an exception."""
    cache = tiny_cache()
    module = cache.model.module
    head, module.head = module.head, nn.Linear(7, 3)
    with pytest.raises(RuntimeError, match="shape"):
        final_norm(cache)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    module.head = head
    assert final_norm(cache) == "norm"


def test_the_norm_is_the_models_own():
    """Breaks when the norm is not applied, or rounded to another type."""
    cache = tiny_cache(torch.float64)
    norm = cache.model.module.norm
    nn.init.uniform_(norm.weight, 0.5, 2)
    tokens = cache.tokens[-1][1]
    with torch.no_grad():
        expected = norm(tokens).numpy()
    found = normed(cache, "norm", tokens.numpy())
    assert found.dtype == "float64"
    assert (found == expected).all()


def test_a_norm_of_half_precision_gives_float32():
    """Breaks when a model of bfloat16 cannot be asked, for NumPy has no such type."""
    cache = tiny_cache(torch.bfloat16)
    assert final_norm(cache) == "norm"
    tokens = cache.tokens[-1][0].float().numpy()
    assert normed(cache, "norm", tokens).dtype == "float32"


def test_it_is_found_in_the_model_that_is_bundled():
    """Breaks when the path of a plain timm model is not read off its forward."""
    scene = vw.demo.scenes(1, seed=0)[0]
    assert final_norm(vw.capture("demo", scene.image, keep=("tokens",))) == "norm"
