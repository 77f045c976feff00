"""Reductions and blocks of rows that suit a processor's cache and vector units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hgq_core.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_not_empty", "extremes", "rows_of_a_block", "summed_to"]

_BLOCK_BYTES = 1 << 19
_LANES = 32
"""Columns below which a reduction over rows leaves the vector units idle."""


def rows_of_a_block(x: Tensor, n_out: int) -> int:
    """Rows of x, and of the output, that stay in cache while they are quantized; all of them on an accelerator."""
    if x.device.type != "cpu" or not x.numel():
        return max(x.shape[0], 1)
    per_row = x[0].numel()
    width = max(per_row, per_row // x.shape[-1] * n_out)
    return max(_BLOCK_BYTES // (width * x.element_size()), 1)


def check_not_empty(x: Tensor) -> None:
    """Raises DataError if there is nothing whose range could be followed."""
    if not x.numel():
        message = f"received an empty tensor of shape {tuple(x.shape)}, whose range cannot be followed; leave it out"
        raise DataError(message)


def extremes(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Smallest and largest element over the axes, which are kept with size 1."""
    if not axes:
        return x, x
    fold = _LANES // x.shape[-1] if x.ndim == 2 and x.shape[-1] else 0
    if axes == (0,) and fold > 1 and x.shape[0] >= 2 * fold and x.device.type == "cpu" and x.is_contiguous():
        # Several rows side by side fill the vector units; the few rows left over are taken with the folded result.
        columns = x.shape[1]
        rows = x.shape[0] // fold * fold
        folded = x[:rows].view(-1, fold * columns)
        low, high = folded.amin(0).view(fold, columns), folded.amax(0).view(fold, columns)
        if rows < x.shape[0]:
            low, high = torch.cat((low, x[rows:])), torch.cat((high, x[rows:]))
        x_low, x_high = low, high
    else:
        x_low = x_high = x
    return torch.amin(x_low, axes, keepdim=True), torch.amax(x_high, axes, keepdim=True)


def summed_to(gradient: Tensor, shape: torch.Size) -> Tensor:
    """The gradient summed over the axes that share a width, whose size in ``shape`` is 1."""
    if gradient.shape == shape:
        return gradient
    axes = tuple(n for n, (have, want) in enumerate(zip(gradient.shape, shape, strict=True)) if want == 1 and have != 1)
    return gradient.sum(dim=axes, keepdim=True) if axes else gradient
