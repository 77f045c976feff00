"""Arithmetic of plain Keras layers and operations as nodes of the Graph, where it is exact without a table."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import UnsupportedError
from hgq_core.graph import ops as op
from hgq_core.layers import limits, rectifier, unfit, written
from hgq_core.linear import Pool, explicit_pads
from hgq_core.numbers import short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.graph.emit import Emitter
    from hgq_core.layers import Exact

__all__ = [
    "absolute",
    "averaged",
    "exact_activation",
    "limited",
    "mean_of",
    "pooled",
    "rectified",
    "shown",
    "without_batch",
]


def shown(numbers: Any) -> str:
    """A constant for a message."""
    array = np.asarray(numbers)
    return repr(array.item()) if array.size == 1 else f"an array of shape {array.shape}"


def without_batch(axis: Any, rank: int, label: str) -> tuple[int, ...]:
    """Axes of a tensor of this rank, counted without the batch axis; raises UnsupportedError for the batch axis."""
    given = range(rank) if axis is None else np.atleast_1d(axis)
    axes = tuple(sorted(int(a) % rank for a in given))
    if 0 in axes:
        message = (
            f"layer {label!r} reduces the batch axis (axis={axis!r}), but hardware computes each row alone; give the "
            "axes to reduce, from 1"
        )
        raise UnsupportedError(message)
    return tuple(a - 1 for a in axes)


def absolute(x: str, emitter: Emitter) -> str:
    """``max(x, -x)``."""
    return emitter.add(op.Maximum(), x, emitter.add(op.Negate(), x))


def limited(x: str, low: Any, high: Any, emitter: Emitter) -> str:
    """``min(max(x, low), high)`` with numbers as bounds."""
    bounds = [np.asarray(bound, np.float32) for bound in (low, high)]
    if any(bound.size != 1 or not np.isfinite(bound).all() for bound in bounds):
        message = (
            f"{emitter.named} limits to {low!r} and {high!r}; expected two finite numbers: use "
            "keras.ops.maximum and keras.ops.minimum with arrays"
        )
        raise UnsupportedError(message)
    return emitter.add(limits(float(bounds[0].item()), float(bounds[1].item())), x)


def exact_activation(activation: Exact | None, x: str, emitter: Emitter) -> str:
    """The nodes of an activation that needs no table; x without one."""
    return (
        x
        if activation is None
        else written(activation, x, emitter.add, lambda number: emitter.constant(number, None, ""))
    )


def rectified(x: str, slope: Any, limit: Any, threshold: Any, emitter: Emitter) -> str:
    """A rectifier of these numbers; raises UnsupportedError where it is not exact, see `hgq_core.layers.unfit`."""
    numbers = float(slope or 0.0), None if limit is None else float(limit), float(threshold or 0.0)
    if reason := unfit(*numbers):
        message = (
            f"{emitter.named}: a rectifier has no exact product in float32 where its {reason}; or use a table: "
            "QUnaryFunctionLUT(f), where f(x) of yours returns keras.activations.relu(x, ...) with the same arguments"
        )
        raise UnsupportedError(message)
    return exact_activation(rectifier(*numbers), x, emitter)


def averaged(x: str, axes: Sequence[int], keepdims: bool, emitter: Emitter) -> str:
    """A sum over the axes times ``1 / n``, n a power of two."""
    count = prod(emitter.shape(x)[a] for a in axes)
    scale = _share(count, emitter, f"keras.ops.sum(x, axis={_with_batch(axes)}) * {shown(short(1.0 / count))}")
    total = emitter.add(op.Reduce("sum", tuple(axes), keepdims), x)
    return emitter.add(op.Multiply(), total, scale)


def mean_of(tensors: Sequence[str], emitter: Emitter) -> str:
    """The average of ``2**n`` tensors, element by element."""
    count = len(tensors)
    remedy = f"keras.layers.Add() and the product of its result with {shown(short(1.0 / count))}"
    scale = _share(count, emitter, remedy)
    return emitter.add(op.Multiply(), emitter.add(op.Add(), *tensors), scale)


def _with_batch(axes: Sequence[int]) -> Any:
    return axes[0] + 1 if len(axes) == 1 else tuple(a + 1 for a in axes)


def _share(count: int, emitter: Emitter, remedy: str) -> str:
    """The constant ``1 / n``; raises UnsupportedError where float32 rounds the quotient."""
    if count & (count - 1):
        message = (
            f"{emitter.named} is an average of {count} numbers, and x / {count} rounds in float32; average a "
            f"power of two of them, or use {remedy}"
        )
        raise UnsupportedError(message)
    return emitter.constant(np.float32(1.0 / count), None, "share")


def pooled(kind: Any, x: str, config: dict[str, Any], emitter: Emitter) -> str:
    """Maximum or average over windows, channels last; ``config`` is that of the layer or operation.

    Raises:
        UnsupportedError: channels first, or an average that rounds.
    """
    shape = emitter.shape(x)
    rank = len(shape) - 1
    size, strides = (_each(config[name], rank) for name in ("pool_size", "strides"))
    if config.get("data_format") == "channels_first":
        message = (
            f"{emitter.named} pools data with data_format='channels_first', expected 'channels_last'; permute "
            "the data with keras.layers.Permute before it and build the layer with data_format='channels_last'"
        )
        raise UnsupportedError(message)
    strides = strides or size
    window = Pool(kind, size, strides, explicit_pads(config["padding"], shape[:-1], size, strides, [1] * rank))
    if kind == "max":
        return emitter.add(window, x)
    remedy = f"QAveragePooling2D({size if rank == 2 else (1, *size)})"
    if rank == 1:
        remedy = f"keras.layers.Reshape((1, {shape[0]}, {shape[1]})) and {remedy}"
    if rank > 2:
        remedy = f"keras.ops.sum of the slices of each window times {shown(short(1.0 / prod(size)))}"
    if any(map(any, window.pads)):
        message = (
            f"{emitter.named} averages with padding='same', where windows at the edge count fewer numbers than "
            f"others; use padding='valid', or {remedy}"
        )
        raise UnsupportedError(message)
    scale = _share(prod(size), emitter, remedy)
    return emitter.add(op.Multiply(), emitter.add(window, x), scale)


def _each(value: Any, rank: int) -> tuple[int, ...]:
    if value is None:
        return ()
    return (int(value),) * rank if np.ndim(value) == 0 else tuple(int(n) for n in value)
