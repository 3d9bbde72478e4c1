"""What a module is like, to compare before and after."""

import torch
from torch import nn


def state_of(module: nn.Module) -> tuple:
    """Everything that opening and running a model might leave behind."""
    return (
        [
            (name, part.training, len(part._forward_hooks), len(part._forward_pre_hooks))
            for name, part in module.named_modules()
        ],
        [
            (name, p.requires_grad, p.grad is None, None if p.is_inference() else p._version)
            for name, p in module.named_parameters()
        ],
        [(name, tuple(vars(part))) for name, part in module.named_modules()],
        torch.is_grad_enabled(),
    )
