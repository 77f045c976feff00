"""A quantized bias in the training step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hgq_core.modes import Round
from hgq_core.ops import EMPTY
from hgq_torch._ops import power_of_two
from hgq_torch.kernels.steps import HALF, QUARTER, ZERO, clamp_, followed, round_

if TYPE_CHECKING:
    from torch import Tensor

    from hgq_core.spec import KBI
    from hgq_torch._quantizer import Quantizer

__all__ = ["quantized_bias"]


def quantized_bias(x: Tensor, stored: Tensor, q: Quantizer, spec: KBI) -> Tensor:
    """A bias with one width per element, rounded by RND, after its ``i`` has followed it.

    With ``x = m 2**e`` and ``B = 2**b`` the candidates for i are e - 1, e and e + 1: a positive ``m B`` needs one bit
    more if it rounds to B, a negative one needs one bit less if its double rounds to -B. Zero needs `EMPTY`.
    """
    b = torch.round(clamp_(stored, spec.bc))
    mantissa, exponent = torch.frexp(x)
    span = power_of_two(b)
    v = mantissa * span
    fits = v.add(span, alpha=0.5).abs_().le_(QUARTER)
    needed = span.sub_(HALF).le_(v).sub_(fits).sub_(mantissa.eq_(ZERO), alpha=-EMPTY).add_(exponent)
    scale = power_of_two(b - followed(q.i, needed, spec, q))
    y = x * scale
    return round_(y.add_(y), Round.RND).div_(scale).mul_(b.add_(q.k).clamp_(0, 1))
