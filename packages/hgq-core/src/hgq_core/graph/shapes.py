"""Shape algebra of the Graph's operations."""

from __future__ import annotations

from math import inf, prod
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import GraphError, ShapeError
from hgq_core.graph.ops import (
    ELEMENTWISE,
    Add,
    Broadcast,
    Compare,
    Concatenate,
    Constant,
    Contract,
    Convolve,
    Gather,
    Input,
    Maximum,
    Minimum,
    Multiply,
    Operation,
    Pad,
    Pool,
    Reduce,
    Repeat,
    Reshape,
    Scan,
    Select,
    Shape,
    Slice,
    Subtract,
    Transpose,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["output_shape"]

_ARITY: dict[type[Operation], tuple[int, float]] = {
    Subtract: (2, 2),
    Compare: (2, 2),
    Contract: (2, 2),
    Convolve: (2, 2),
    Select: (3, 3),
    Input: (0, 0),
    Constant: (0, 0),
    Add: (2, inf),
    Multiply: (2, inf),
    Maximum: (2, inf),
    Minimum: (2, inf),
    Concatenate: (1, inf),
    Scan: (1, inf),
}
"""Fewest and most operands; one for all others."""


def output_shape(op: Operation, shapes: Sequence[Shape], *, constant: Sequence[bool]) -> Shape:
    """Shape of the result without the batch axis; raises GraphError or ShapeError for operands that do not fit.

    Args:
        op: the operation.
        shapes: shapes of the operands, without the batch axis.
        constant: whether each operand is a Constant, which has no batch axis at all.
    """
    fewest, most = _ARITY.get(type(op), (1, 1))
    if not fewest <= len(shapes) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} or more"
        message = f"{type(op).__name__} received {len(shapes)} operand(s), expected {wanted}"
        raise GraphError(message)
    if isinstance(op, Contract):
        with_batch: list[tuple[int | None, ...]] = [
            s if c else (None, *s) for s, c in zip(shapes, constant, strict=True)
        ]
        return tuple(int(n) for n in op.shape(*with_batch)[1:])  # type: ignore[arg-type]  # only the batch axis is unknown
    if isinstance(op, Convolve):
        return tuple(int(n) for n in op.shape((None, *shapes[0]), shapes[1])[1:])  # type: ignore[arg-type]
    if isinstance(op, Pool):
        return tuple(int(n) for n in op.shape((None, *shapes[0]))[1:])  # type: ignore[arg-type]
    if isinstance(op, ELEMENTWISE):
        shape = _broadcast(shapes)
        if not all(constant) and any(len(s) != len(shape) for s, c in zip(shapes, constant, strict=True) if not c):
            message = (
                f"{type(op).__name__} received data of shapes {list(shapes)}; expected {len(shape)} axes everywhere, "
                "because the batch axis comes before them: insert a Reshape, as GraphBuilder does"
            )
            raise ShapeError(message)
        return shape
    if isinstance(op, Input):
        return op.shape
    if isinstance(op, Constant):
        return tuple(op.integers.shape)
    return _moved(op, shapes)


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError as error:
        message = f"shapes {list(shapes)} do not broadcast together"
        raise ShapeError(message) from error


def _moved(op: Operation, shapes: Sequence[Shape]) -> Shape:
    (x, *_) = shapes
    axes = (
        {op.axis}
        if isinstance(op, Concatenate | Repeat | Gather)
        else set(op.axes)
        if isinstance(op, Reduce)
        else set()
    )
    if not axes <= set(range(len(x))):
        message = f"{type(op).__name__}: axes {sorted(axes)} are out of range for shape {x} (batch axis left out)"
        raise ShapeError(message)
    match op:
        case Reshape(shape=shape):
            if prod(shape) != prod(x):
                message = f"cannot reshape {x} to {shape}: {prod(x)} and {prod(shape)} elements"
                raise ShapeError(message)
            return shape
        case Transpose(axes=axes):
            if sorted(axes) != list(range(len(x))):
                message = f"transpose axes {axes} are not a permutation of the axes of {x}"
                raise ShapeError(message)
            return tuple(x[a] for a in axes)
        case Concatenate(axis=axis):
            return (*x[:axis], sum(s[axis] for s in shapes), *x[axis + 1 :])
        case Slice(start=start, stop=stop, step=step):
            return tuple(len(range(n)[a:b:c]) for n, a, b, c in zip(x, start, stop, step, strict=True))
        case Pad(pads=pads):
            return tuple(n + sum(p) for n, p in zip(x, pads, strict=True))
        case Broadcast(shape=shape):
            _broadcast([x, shape])
            return shape
        case Repeat(times=times, axis=axis):
            return (*x[:axis], x[axis] * times, *x[axis + 1 :])
        case Gather(indices=indices, axis=axis):
            return (*x[:axis], len(indices), *x[axis + 1 :])
        case Reduce(axes=axes, keepdims=keepdims):
            return tuple(1 if a in axes else n for a, n in enumerate(x) if keepdims or a not in axes)
        case Scan(body=body, steps=steps):
            return (steps, *body[body.outputs[0]].shape)
        case _:
            return x
