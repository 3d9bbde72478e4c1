"""Muon: momentum whose every step is made orthogonal, for the matrices inside a network.

For a small transformer that sees few images it is worth several times as many steps of AdamW.

References
----------
.. K. Jordan et al. "Muon: An optimizer for hidden layers in neural networks." 2024.
   https://kellerjordan.github.io/posts/muon/
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def orthogonalised(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Bring all singular values of a (rows, columns) matrix close to 1 (Newton-Schulz).

    In float32: the bfloat16 of ``torch.optim.Muon`` is slow on a CPU without that type.
    """
    x = matrix.T if len(matrix) > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        square = x @ x.T
        x = 3.4445 * x + (2.0315 * square @ square - 4.7750 * square) @ x
    return x.T if len(matrix) > matrix.shape[1] else x


class Muon(torch.optim.Optimizer):
    """Optimizer for weight matrices.

    Parameters
    ----------
    matrices : iterable of torch.nn.Parameter
        (rows, columns) each. One with three times as many rows as columns is taken as the stacked
        projections to queries, keys and values, which are made orthogonal one by one.
    lr : float
        Largest singular value of a step, for a square matrix.
    momentum, weight_decay : float
        Weight decay is decoupled: each step shrinks the weights by ``lr * weight_decay``.
    """

    def __init__(
        self,
        matrices: Iterable[torch.nn.Parameter],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.5,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(list(matrices), defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step along the gradients."""
        assert closure is None
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["past"] = torch.zeros_like(p)
                past = state["past"].mul_(momentum).add_(p.grad)
                ahead = p.grad + momentum * past  # Nesterov
                rows, columns = p.shape
                parts = ahead.chunk(3) if rows == 3 * columns else (ahead,)
                scale = max(1.0, len(parts[0]) / columns) ** 0.5
                update = torch.cat([orthogonalised(part) for part in parts])
                p.mul_(1 - lr * group["weight_decay"]).add_(update, alpha=-lr * scale)
