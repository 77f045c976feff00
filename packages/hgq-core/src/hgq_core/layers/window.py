"""The window of a convolution: zeros around the data, and the data of each position gathered by wiring."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Gather, Pad, Reshape
from hgq_core.linear import Convolve, explicit_pads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["Pads", "check_rank", "gathered", "window_operation", "window_pads"]

Pads = tuple[tuple[int, int], ...]


def check_rank(shape: Sequence[int], rank: int) -> None:
    """Raise ShapeError unless data have so many spatial axes, and channels behind them."""
    if len(shape) != rank + 1:
        message = f"received shape (batch, {', '.join(map(str, shape))}), expected (batch, {'n, ' * rank}channels)"
        raise ShapeError(message)


def window_pads(
    padding: str | Pads,
    spatial: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> Pads:
    """Zeros ``(before, after)`` each spatial axis.

    Args:
        padding: ``"valid"``, ``"same"``, ``"causal"``, or what is returned.
        spatial: sizes of the data.
        window: sizes of the kernel.
        strides: of the window.
        dilation: of the window.

    Raises:
        ConfigError: another padding, or pairs for another number of axes.
        ShapeError: a window that the padded data do not hold.

    >>> window_pads("same", (5,), (3,), (1,), (1,))
    ((1, 1),)
    """
    if not isinstance(padding, str) and len(padding) != len(spatial):
        message = f"padding: received {padding}, expected a pair for each of {len(spatial)} spatial axes"
        raise ConfigError(message)
    pads = explicit_pads(padding, spatial, window, strides, dilation) if isinstance(padding, str) else padding
    reach = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    if any(r > n + sum(pad) for r, n, pad in zip(reach, spatial, pads, strict=True)):
        message = (
            f"a kernel of {tuple(window)} and dilation {tuple(dilation)} is larger than the data of "
            f"{tuple(spatial)}; expected a smaller kernel, or padding 'same'"
        )
        raise ShapeError(message)
    return pads


def window_operation(
    shape: Sequence[int],
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: str | Pads,
    dilation: tuple[int, ...],
    groups_of: Callable[[int], int],
) -> Convolve:
    """The convolution of data ``(*spatial, channels)`` by these arguments, see `hgq_core.layers.Convolution`.

    Args:
        shape: of the data.
        kernel_size: one size for each spatial axis, as are the next ones.
        strides: of the window.
        padding: a name, or explicit pairs.
        dilation: of the window.
        groups_of: groups for so many channels.

    Raises:
        ShapeError: another number of axes, groups that do not divide the channels, a window larger than the data.
        ConfigError: another number of pads.
    """
    check_rank(shape, len(kernel_size))
    *spatial, channels = shape
    groups = groups_of(channels)
    if channels % groups:
        message = f"{channels} channels cannot be divided into {groups} groups"
        raise ShapeError(message)
    pads = window_pads(padding, spatial, kernel_size, strides, dilation)
    return Convolve(strides, pads, dilation, groups)


def gathered(
    t: Trace, x: Value, window: Sequence[int], strides: Sequence[int], pads: Pads, dilation: Sequence[int]
) -> Value:
    """Data ``(*spatial, channels)`` as ``(*positions, *window, channels)``, by moves alone."""
    if any(n for pad in pads for n in pad):
        x = t.op(Pad((*pads, (0, 0))), x)
    *spatial, channels = t.shape(x)
    axes = [
        [[start * s + tap * d for tap in range(w)] for start in range((n - (w - 1) * d - 1) // s + 1)]
        for n, w, s, d in zip(spatial, window, strides, dilation, strict=True)
    ]
    positions = [len(axis) for axis in axes]
    met = [
        np.ravel_multi_index([axis[p][k] for axis, p, k in zip(axes, place, tap, strict=True)], spatial)
        for place in product(*map(range, positions))
        for tap in product(*map(range, window))
    ]
    if len(spatial) > 1:
        x = t.op(Reshape((int(np.prod(spatial)), channels)), x)
    if met != list(range(t.shape(x)[0])):
        x = t.op(Gather(np.array(met, dtype=np.int64), 0), x)
    return t.op(Reshape((*positions, *window, channels)), x)
