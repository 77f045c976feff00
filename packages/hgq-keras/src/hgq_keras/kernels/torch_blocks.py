"""Rows of data in blocks that stay in a processor's cache, where Keras runs on PyTorch eagerly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hgq_keras.kernels import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["blocks", "residual_sum", "without_history"]

_BLOCK_BYTES = 1 << 19


def blocks(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """The tensors, of one shape, cut along the batch axis; whole where that does not pay."""
    x = tensors[0]
    rows = max(_BLOCK_BYTES // max(x[:1].numel() * x.element_size(), 1), 1)
    if x.device.type != "cpu" or torch.compiler.is_compiling() or x.shape[0] < 2 * rows:
        return iter([tensors])
    return zip(*(tensor.split(rows) for tensor in tensors), strict=True)


def residual_sum(g: Any, x: Any, xq: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """The sum of ``g (x - xq)`` over ``axes``, kept with size 1, and ``g``."""
    if 0 not in axes or torch.is_grad_enabled():
        return plain.residual_sum(g, x, xq, axes)
    total = None
    for g_, x_, xq_ in blocks(g, x, xq):
        part = torch.sum(torch.sub(x_, xq_).mul_(g_), axes, keepdim=True)
        total = part if total is None else total.add_(part)
    return total, g


def without_history(result: Any) -> Any:
    """The numbers of a result: its backward pass, which holds them, is a part of the result itself.

    Held by each other, both would stay in memory until Python looks for cycles, some steps later.
    """
    return result.detach() if isinstance(result, torch.Tensor) else result
