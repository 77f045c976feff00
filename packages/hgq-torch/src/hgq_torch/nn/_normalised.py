"""What layers with a batch normalisation folded in have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from hgq_core.layers import FoldedNorm
from hgq_torch._slots import Layout
from hgq_torch.nn._activated import Activated
from hgq_torch.nn._arguments import averaging

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["NORM", "Normalised"]

NORM: Mapping[str, Layout] = {
    "bn_gamma": Layout("bn_weight"),
    "bn_beta": Layout("bn_bias"),
    "moving_mean": Layout("running_mean"),
    "moving_variance": Layout("running_var"),
}


class Normalised(Activated):
    """Abstract: a layer with a norm folded in."""

    weight: nn.Parameter
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def set_norm(self, eps: float, momentum: float | None, affine: bool) -> None:
        """Take the arguments that say how it normalises."""
        self.eps, self.momentum = averaging(eps, momentum)
        self.affine = bool(affine)
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.int64, device=self.beta.device))

    @property
    def norm(self) -> FoldedNorm:
        """The norm as a declaration has it."""
        return FoldedNorm(self.eps, self.affine, self.affine)

    def reset_norm(self) -> None:
        """Averages of standard data, and gamma and beta that change nothing."""
        nn.init.zeros_(self.running_mean)
        nn.init.ones_(self.running_var)
        for name, start in (("bn_weight", 1.0), ("bn_bias", 0.0)):
            if isinstance(getattr(self, name, None), nn.Parameter):
                nn.init.constant_(getattr(self, name), start)
