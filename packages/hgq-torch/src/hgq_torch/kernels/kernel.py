"""A quantized kernel in the training step, with what its gradients need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hgq_core.modes import Round
from hgq_torch._ops import power_of_two
from hgq_torch._reduce import summed_to
from hgq_torch.kernels.steps import LN2, ONE, clamp_, round_, truncate_

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from hgq_core.spec import KBI

__all__ = ["kernel_gradients", "quantized_kernel"]


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


def kernel_gradients(
    total: Tensor, kernel: Sequence[Tensor], b_shape: torch.Size, i_shape: torch.Size
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of the stored weight and of its widths b and i.

    Args:
        total: the gradient of the quantized weight.
        kernel: what `quantized_kernel` gives behind it.
        b_shape: shape of the stored b.
        i_shape: shape of the stored i.
    """
    inside, scale, db, di = kernel
    scaled = (total / scale).mul_(LN2[scale.dtype])
    return total * inside, summed_to(db * scaled, b_shape), summed_to(di * scaled, i_shape)
