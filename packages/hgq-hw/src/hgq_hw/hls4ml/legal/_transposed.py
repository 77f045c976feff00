"""A transposed convolution as a plain one, which hls4ml has."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.graph.ops import Convolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_hw.hls4ml.legal._legalizer import Legalizer

__all__ = ["by_phase"]


def by_phase(op: Convolve, legal: Legalizer, x: str, kernel: NDArray[np.float64]) -> str:
    """One convolution over the data themselves, with the filters of every phase of the strides; outputs are woven.

    Output positions ``q * stride + phase`` of one phase read a window of the data around q, through taps of the kernel
    that are a stride apart. So no product with a zero between positions is formed.

    Args:
        op: a transposed convolution over one or two axes.
        legal: what is written to.
        x: the data.
        kernel: without groups and dilation, ``(*window, channels, filters)``.
    """
    rank, filters = len(op.strides), kernel.shape[-1]
    out = legal.node.shape[:-1]
    counts, pads = [], []
    for axis, (stride, (before, _)) in enumerate(zip(op.strides, op.pads, strict=True)):
        size, reach = legal.shape(x)[axis], kernel.shape[2 * axis]
        count = -(-out[axis] // stride)
        last, first = (reach - 1 - before) // stride, -((stride - 1 + before) // stride)
        kernel = _split(kernel, 2 * axis, np.arange(last, first - 1, -1), stride, before)
        around = last, count - size - first
        x = legal.take(x, axis, np.arange(max(-around[0], 0), size - max(-around[1], 0)))
        pads.append((max(around[0], 0), max(around[1], 0)))
        counts.append(count)
    # (J, s, J, s, channels, filters) to (J, J, channels, s * s * filters)
    order = [*range(0, 2 * rank, 2), 2 * rank, *range(1, 2 * rank, 2), 2 * rank + 1]
    phases = kernel.transpose(order)
    phases = phases.reshape(*phases.shape[: rank + 1], prod(op.strides) * filters)
    ones = (1,) * rank
    y = legal.add(Convolve(ones, tuple(pads), ones), x, legal.constant(phases))
    if rank == 2 and op.strides[0] > 1:
        apart = legal.reshape(y, (*counts, op.strides[0], op.strides[1] * filters))
        y = legal.transpose(apart, (0, 2, 1, 3))
    y = legal.reshape(y, (*(n * s for n, s in zip(counts, op.strides, strict=True)), filters))
    for axis, size in enumerate(out):
        y = legal.take(y, axis, np.arange(size))
    return y


def _split(
    kernel: NDArray[np.float64], axis: int, steps: NDArray[np.int64], stride: int, before: int
) -> NDArray[np.float64]:
    """The taps along an axis as ``(steps, phases)``: ``steps * stride + phase + before``, 0 where there is none."""
    taps = steps[:, None] * stride + np.arange(stride) + before
    inside = (taps >= 0) & (taps < kernel.shape[axis])
    chosen = np.take(kernel, np.where(inside, taps, 0), axis=axis)
    mask = inside.reshape(*(1,) * axis, *inside.shape, *(1,) * (kernel.ndim - axis - 1))
    return np.asarray(np.where(mask, chosen, 0.0))
