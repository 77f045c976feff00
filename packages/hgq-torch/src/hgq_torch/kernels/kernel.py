"""A quantized kernel in the training step, with what its gradients need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hgq_core.modes import Round
from hgq_torch._ops import power_of_two
from hgq_torch.kernels.steps import ONE, clamp_, round_, truncate_

if TYPE_CHECKING:
    from torch import Tensor

    from hgq_core.spec import KBI

__all__ = ["quantized_kernel"]


def quantized_kernel(
    w: Tensor, stored_b: Tensor, stored_i: Tensor, k: Tensor, spec: KBI
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The weight in SAT_SYM, where it is not clipped, its scale, and the factors of its gradients in units of the step.

    With ``u = w 2**f`` and ``L = 2**b - 1``, over ln2: ``db = u - uq = -di`` inside the range, and ``db = ±1, di = ±L``
    where clipped.
    """
    b, i = torch.round(clamp_(stored_b, spec.bc)), torch.round(clamp_(stored_i, spec.ic))
    limit = power_of_two(b).sub_(ONE)
    scale = power_of_two(b.sub_(i))
    sign = -k
    u = w * scale
    clipped = torch.clamp(u, limit * sign, limit)
    inside = clipped == u
    uq = round_(clipped + clipped if spec.round_mode is Round.RND else clipped.clone(), spec.round_mode)
    if spec.round_mode is Round.TRN:
        truncate_(uq, torch.maximum(w, limit * sign))
    side = torch.maximum(u.sub_(clipped).sign_(), sign)
    residual = clipped.sub_(uq)
    return uq.div_(scale), inside, scale, residual + side, side.mul_(limit).sub_(residual)
