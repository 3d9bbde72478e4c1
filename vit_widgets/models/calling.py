"""How a module is called with a batch of images, and what to say when that does not work.

Every sentence here names what was tried and what the user can pass instead.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from vit_widgets.models import anatomy, hugging_face

Forward = Callable[[nn.Module, torch.Tensor], Any]
"""From a module and a float batch (image, channels, height, width) to what the model returns."""

UNSUITABLE = (
    *(TypeError, ValueError, RuntimeError, NotImplementedError, AssertionError),
    *(AttributeError, IndexError, KeyError),
)
"""What a forward raises for an input that does not suit it; anything else is passed on as it is."""


def own_forward(module: nn.Module) -> Forward:
    """Choose how a module takes images: by position, or by the name that Hugging Face gives them.

    Examples
    --------
    >>> own_forward(nn.Identity())(nn.Identity(), torch.ones(1)).tolist()
    [1.0]
    """
    if hugging_face.takes_patches(module):
        return hugging_face.call_with_patches
    keyword = _image_keyword(module)
    if keyword:
        return lambda module, batch: module(**{keyword: batch})
    return lambda module, batch: module(batch)


def has_no_images(module: nn.Module) -> str:
    """Say why a Hugging Face model cannot be given images; empty where it can, or is another's."""
    main = getattr(module, "main_input_name", None)
    names = _parameters(module)
    if not isinstance(main, str) or any(name.startswith("pixel") for name in (main, *names)):
        return ""
    return (
        f"{_class(module)} has no image input: its forward takes {_listed(names)}; pass a model "
        "that takes pixel_values, or forward=, a function of (module, batch) that turns images "
        "into what it takes, for example load(module, forward=lambda module, batch: "
        f"module({main}=tokens_of(batch)))"
    )


def failed(module: nn.Module, batch: torch.Tensor, error: BaseException) -> str:
    """Say that a forward failed, what it was called with, and how to call it otherwise."""
    names, keyword = _parameters(module), _image_keyword(module)
    required = [name for name in names if names[name] is inspect.Parameter.empty]
    if keyword:  # Hugging Face declares nothing as required, and asks for the text in the forward
        missing = [name for name in names if name in {*required, "input_ids"} - {keyword}]
    else:
        missing = [name for name in required if name != next(iter(names))]
    kind = str(batch.dtype).removeprefix("torch.")
    tried = f"the forward of {_class(module)} failed on a {kind} batch {tuple(batch.shape)}"
    cause = f"{type(error).__name__}: {_first_line(error)}"
    if missing:
        return (
            f"{tried}; it also takes {_listed(missing)} ({cause}); pass forward=, for example "
            f"load(module, forward=lambda module, batch: module({keyword + '=' if keyword else ''}"
            f"batch, {', '.join(f'{name}={name}' for name in missing)}))"
        )
    if any("quantized" in type(part).__module__ for part in module.modules()):
        return (
            f"{tried} ({cause}); it is a quantised module, whose kernels take few types and "
            "devices: open the float module that it was made from"
        )
    order = (
        "; a video arrives as (video, frame, channels, height, width), and "
        "load(module, forward=lambda module, batch: module(batch.transpose(1, 2))) puts the "
        "channels before the frames"
        if batch.ndim == 5
        else ""
    )
    return (
        f"{tried} ({cause}); if it needs another size, pass a transform= that gives it; if it is "
        "called in another way, pass forward=, for example load(module, forward=lambda module, "
        f"batch: module.encode(batch)){order}"
    )


def no_scores(module: nn.Module, output: Any) -> str:
    """Say what a model returned where (image, class) scores were looked for."""
    return (
        f"{_class(module)} returns no (image, class) scores but {_described(output)}, so it has no "
        "predictions; if they can be made of it, pass forward=, for example "
        "load(module, forward=lambda module, batch: classify(module(batch)))"
    )


def not_finite(module: nn.Module) -> str:
    """Say that scores are NaN, and whether the weights, the type or the input are the reason."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    bad = next((name for name, t in tensors if not bool(t.isfinite().all())), None)
    if bad:
        reason = f"its {bad!r} holds NaN or infinity: initialise the weights, or load trained ones"
    elif any(t.dtype == torch.float16 for _, t in tensors):
        reason = "float16 overflows beyond 65504: open the module in bfloat16 or float32"
    else:
        reason = "its weights are finite: is the input preprocessed as in training? pass transform="
    return f"the scores of {_class(module)} are NaN; {reason}"


def hidden_attention(module: nn.Module) -> str:
    """Say what to pass for a model whose attention runs in a kernel that torch does not show.

    Examples
    --------
    >>> hidden_attention(nn.Linear(1, 1))[:32]
    'Linear shows torch no attention:'
    """
    suspects = (type(part).__name__ for _, part in anatomy.walk(module))
    suspect = next((name for name in suspects if "atten" in name.lower()), "FlashAttention")
    return (
        f"{_class(module)} shows torch no attention: if it attends inside a custom kernel, pass "
        "attention=, a mapping from the class that attends to a function of the module and the "
        "inputs of its forward that returns (q, k), each (..., token, feature), or the weights "
        f"(..., query, key), for example load(module, attention={{{suspect!r}: "
        "lambda module, x: (module.q(x), module.k(x))})"
    )


def _image_keyword(module: nn.Module) -> str:
    return next((name for name in _parameters(module) if name.startswith("pixel_values")), "")


def _parameters(module: nn.Module) -> dict[str, Any]:
    """Names of a forward's inputs with their defaults."""
    try:
        signature = inspect.signature(module.forward)
    except (TypeError, ValueError):  # a builtin, or an object that hides how it is called
        return {}
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.kind not in several
    }


def _described(output: Any) -> str:
    if isinstance(output, torch.Tensor):
        return f"a tensor {tuple(output.shape)}"
    if isinstance(output, (tuple, list)):
        return f"a {type(output).__name__} of {len(output)}"
    if isinstance(output, Mapping):
        return f"a {type(output).__name__} with {_listed(map(str, output))}"
    if dataclasses.is_dataclass(output):
        return (
            f"a {type(output).__name__} with {_listed(f.name for f in dataclasses.fields(output))}"
        )
    return "None" if output is None else f"a {type(output).__name__}"


def _listed(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "") if names else "nothing"


def _class(module: nn.Module) -> str:
    return type(module).__name__


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or "no message").splitlines()[0]
