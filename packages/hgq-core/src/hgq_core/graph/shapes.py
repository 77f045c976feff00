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

__all__ = ["has_no_batch", "output_shape"]

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
        constant: whether each operand is constant, so that it has no batch axis at all; see `has_no_batch`.
    """
    fewest, most = _ARITY.get(type(op), (1, 1))
    if not fewest <= len(shapes) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} or more"
        message = f"{type(op).__name__} received {len(shapes)} operand(s), expected {wanted}"
        raise GraphError(message)
    _check_constants(op, constant)
    if isinstance(op, Contract):
        op.check_batch(constant=(constant[0], constant[1]))
        with_batch: list[tuple[int | None, ...]] = [
            s if c else (None, *s) for s, c in zip(shapes, constant, strict=True)
        ]
        return _without_batch(op.shape(*with_batch))
    if isinstance(op, Convolve):
        return _without_batch(op.shape((None, *shapes[0]), shapes[1]))
    if isinstance(op, Pool):
        return _without_batch(op.shape((None, *shapes[0])))
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


def _without_batch(shape: Sequence[int | None]) -> Shape:
    return tuple(int(n or 0) for n in shape[1:])  # only the batch axis is unknown


def has_no_batch(op: Operation, constant: Sequence[bool]) -> bool:
    """Whether the result has no batch axis: a Constant, or an elementwise operation on such alone."""
    return isinstance(op, Constant) or (isinstance(op, ELEMENTWISE) and all(constant))


def _check_constants(op: Operation, constant: Sequence[bool]) -> None:
    """Only elementwise operations and linear ones, as one of two operands, take what has no batch axis.

    The axes of all others count from behind the batch axis, which a constant lacks.
    """
    if isinstance(op, ELEMENTWISE) or not any(constant):
        return
    if (isinstance(op, Contract) and not all(constant)) or (isinstance(op, Convolve) and not constant[0]):
        return
    message = (
        f"{type(op).__name__} acts on a constant, which has no batch axis; fold the constant first: "
        "compute the result in NumPy and add it with Constant.of"
    )
    raise GraphError(message)


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError as error:
        message = f"shapes {list(shapes)} do not broadcast together"
        raise ShapeError(message) from error


def _moved(op: Operation, shapes: Sequence[Shape]) -> Shape:
    x = shapes[0]
    named: tuple[int, ...] = ()
    if isinstance(op, Concatenate | Repeat | Gather):
        named = (op.axis,)
    elif isinstance(op, Reduce):
        named = op.axes
    if not set(named) <= set(range(len(x))):
        message = f"{type(op).__name__}: axes {sorted(named)} are out of range for shape {x} (batch axis left out)"
        raise ShapeError(message)
    if isinstance(op, Slice | Pad):
        parts = [len(op.pads)] if isinstance(op, Pad) else [len(op.start), len(op.stop), len(op.step)]
        if set(parts) != {len(x)}:
            message = f"{op} does not name every axis of shape {x} once (batch axis left out)"
            raise ShapeError(message)
    if len(set(named)) != len(named):
        message = f"{type(op).__name__}: an axis is given twice in {named}"
        raise ShapeError(message)
    match op:
        case Concatenate(axis=axis):
            return _joined(axis, shapes)
        case Slice(start=start, stop=stop, step=step):
            return tuple(len(range(n)[a:b:c]) for n, a, b, c in zip(x, start, stop, step, strict=True))
        case Pad(pads=pads):
            if any(n < 0 for pad in pads for n in pad):
                message = f"{op}: expected no negative padding; cut with a Slice"
                raise ShapeError(message)
            return tuple(n + sum(p) for n, p in zip(x, pads, strict=True))
        case Repeat(times=times, axis=axis):
            return (*x[:axis], x[axis] * times, *x[axis + 1 :])
        case Gather(indices=indices, axis=axis):
            wanted = np.asarray(indices)
            if wanted.ndim != 1 or np.any((wanted < 0) | (wanted >= x[axis])):
                message = f"Gather: received indices {wanted.tolist()}, expected a list of 0 to {x[axis] - 1}"
                raise ShapeError(message)
            return (*x[:axis], len(wanted), *x[axis + 1 :])
        case Reduce(axes=axes, keepdims=keepdims):
            return tuple(1 if a in axes else n for a, n in enumerate(x) if keepdims or a not in axes)
        case Scan() as scan:
            return _scanned(scan, shapes)
    return _rearranged(op, x)


def _scanned(scan: Scan, shapes: Sequence[Shape]) -> Shape:
    """The results of all steps; the body takes an element of the sequence and states, gives a result and states."""
    body = scan.body
    wanted = [tuple(node.shape) for node in body.inputs]
    given = [tuple(shapes[0][1:]), *map(tuple, shapes[1:])]
    after = [tuple(body[name].shape) for name in body.outputs[1:]]
    if wanted != given or after != given[1:] or len(shapes[0]) == 0 or shapes[0][0] != scan.steps:
        message = (
            f"Scan of {scan.steps} step(s) received a sequence of shape {shapes[0]} and states {given[1:]}; its body "
            f"takes {wanted} and gives states {after}: expected a sequence ({scan.steps}, ...) and equal shapes"
        )
        raise ShapeError(message)
    return (scan.steps, *body[body.outputs[0]].shape)


def _joined(axis: int, shapes: Sequence[Shape]) -> Shape:
    x = shapes[0]
    if any((*s[:axis], *s[axis + 1 :]) != (*x[:axis], *x[axis + 1 :]) for s in shapes):
        message = f"Concatenate along axis {axis}: shapes {list(shapes)} differ in another axis"
        raise ShapeError(message)
    return (*x[:axis], sum(s[axis] for s in shapes), *x[axis + 1 :])


def _rearranged(op: Operation, x: Shape) -> Shape:
    """Shape of a Reshape, Transpose or Broadcast; of anything else that of the operand."""
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
        case Broadcast(shape=shape):
            if _broadcast([x, shape]) != shape:
                message = f"cannot broadcast {x} to {shape}"
                raise ShapeError(message)
            return shape
    return x
