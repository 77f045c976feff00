"""When quantized weights and grids are kept at inference, and how they are compared; see `hgq_core.kept`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hgq_core.kept import Kept

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["kept", "may_keep"]


def may_keep(x: Tensor) -> bool:
    """Whether results are kept for a tensor: at inference on a processor, where looking at numbers waits for nobody."""
    return not torch.is_grad_enabled() and x.device.type == "cpu" and not torch.compiler.is_compiling()


def kept() -> Kept[Any]:
    """Nothing yet, to be compared by numbers.

    That finds every way in which they may be changed; the versions that PyTorch counts do not show what is written
    through ``tensor.data``.
    """
    return Kept(_same, _copied)


def _same(a: Tensor, b: Tensor) -> bool:
    return a.dtype is b.dtype and torch.equal(a, b)


def _copied(source: Tensor) -> Tensor:
    return source.detach().clone()
