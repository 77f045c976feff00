"""Shape algebra: one rule for each kind of node, ``(op, shapes, constant) -> shape``, all without the batch axis."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import GraphError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.graph import ops as op
    from hgq_core.graph.ops import Shape

    Rule = Callable[[Any, Sequence[Shape], Sequence[bool]], Shape]

__all__ = [
    "broadcast",
    "concatenate",
    "constant",
    "contract",
    "convolve",
    "elementwise",
    "gather",
    "given",
    "of_data",
    "pad",
    "pool",
    "reduce",
    "repeat",
    "reshape",
    "same",
    "scan",
    "slice_",
    "transpose",
]


def given(operation: op.Input, _shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    return operation.shape


def constant(operation: op.Constant, _shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    return tuple(operation.integers.shape)


def elementwise(operation: Any, shapes: Sequence[Shape], constant: Sequence[bool]) -> Shape:
    shape = _together(shapes)
    if not all(constant) and any(len(s) != len(shape) for s, c in zip(shapes, constant, strict=True) if not c):
        message = (
            f"{type(operation).__name__} received data of shapes {list(shapes)}; expected {len(shape)} axes "
            "everywhere, because the batch axis comes before them: insert a Reshape, as GraphBuilder does"
        )
        raise ShapeError(message)
    return shape


def _together(shapes: Sequence[Shape]) -> Shape:
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError as error:
        message = f"shapes {list(shapes)} do not broadcast together"
        raise ShapeError(message) from error


def of_data(rule: Rule) -> Rule:
    """The rule of a kind that takes nothing without a batch axis: its own axes count from behind that axis."""

    def checked(operation: Any, shapes: Sequence[Shape], constant: Sequence[bool]) -> Shape:
        if any(constant):
            _refuse_constants(operation)
        return rule(operation, shapes, constant)

    return checked


def _refuse_constants(operation: Any) -> None:
    message = (
        f"{type(operation).__name__} acts on a constant, which has no batch axis; fold the constant first: "
        "compute the result in NumPy and add it with Constant.of"
    )
    raise GraphError(message)


def _without_batch(shape: Sequence[int | None]) -> Shape:
    return tuple(int(n or 0) for n in shape[1:])  # only the batch axis is unknown


def contract(operation: op.Contract, shapes: Sequence[Shape], constant: Sequence[bool]) -> Shape:
    """One of the two operands may be constant."""
    if all(constant):
        _refuse_constants(operation)
    operation.check_batch(constant=(constant[0], constant[1]))
    with_batch: list[tuple[int | None, ...]] = [s if c else (None, *s) for s, c in zip(shapes, constant, strict=True)]
    return _without_batch(operation.shape(*with_batch))


def convolve(operation: op.Convolve, shapes: Sequence[Shape], constant: Sequence[bool]) -> Shape:
    """The kernel may be constant."""
    if constant[0]:
        _refuse_constants(operation)
    return _without_batch(operation.shape((None, *shapes[0]), shapes[1]))


def pool(operation: op.Pool, shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    return _without_batch(operation.shape((None, *shapes[0])))


def same(_operation: Any, shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    return shapes[0]


def _check_axes(operation: Any, axes: Sequence[int], x: Shape) -> None:
    if not set(axes) <= set(range(len(x))):
        message = (
            f"{type(operation).__name__}: axes {sorted(axes)} are out of range for shape {x} (batch axis left out)"
        )
        raise ShapeError(message)
    if len(set(axes)) != len(axes):
        message = f"{type(operation).__name__}: an axis is given twice in {tuple(axes)}"
        raise ShapeError(message)


def _check_every_axis(operation: Any, parts: Sequence[Sequence[Any]], x: Shape) -> None:
    if {len(part) for part in parts} != {len(x)}:
        message = f"{operation} does not name every axis of shape {x} once (batch axis left out)"
        raise ShapeError(message)


def reduce(operation: op.Reduce, shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    _check_axes(operation, operation.axes, shapes[0])
    kept = [(a, n) for a, n in enumerate(shapes[0]) if operation.keepdims or a not in operation.axes]
    return tuple(1 if a in operation.axes else n for a, n in kept)


def reshape(operation: op.Reshape, shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    x, shape = shapes[0], operation.shape
    if prod(shape) != prod(x):
        message = f"cannot reshape {x} to {shape}: {prod(x)} and {prod(shape)} elements"
        raise ShapeError(message)
    return shape


def transpose(operation: op.Transpose, shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    x, axes = shapes[0], operation.axes
    if sorted(axes) != list(range(len(x))):
        message = f"transpose axes {axes} are not a permutation of the axes of {x}"
        raise ShapeError(message)
    return tuple(x[a] for a in axes)


def concatenate(operation: op.Concatenate, shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    x, axis = shapes[0], operation.axis
    _check_axes(operation, (axis,), x)
    if any(len(s) != len(x) or (*s[:axis], *s[axis + 1 :]) != (*x[:axis], *x[axis + 1 :]) for s in shapes):
        message = f"Concatenate along axis {axis}: shapes {list(shapes)} differ in another axis"
        raise ShapeError(message)
    return (*x[:axis], sum(s[axis] for s in shapes), *x[axis + 1 :])


def slice_(operation: op.Slice, shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    start, stop, step = operation.start, operation.stop, operation.step
    _check_every_axis(operation, (start, stop, step), shapes[0])
    return tuple(len(range(n)[a:b:c]) for n, a, b, c in zip(shapes[0], start, stop, step, strict=True))


def pad(operation: op.Pad, shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    _check_every_axis(operation, (operation.pads,), shapes[0])
    if any(n < 0 for pads in operation.pads for n in pads):
        message = f"{operation}: expected no negative padding; cut with a Slice"
        raise ShapeError(message)
    return tuple(n + sum(pads) for n, pads in zip(shapes[0], operation.pads, strict=True))


def broadcast(operation: op.Broadcast, shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    if _together([shapes[0], operation.shape]) != operation.shape:
        message = f"cannot broadcast {shapes[0]} to {operation.shape}"
        raise ShapeError(message)
    return operation.shape


def repeat(operation: op.Repeat, shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    x, axis = shapes[0], operation.axis
    _check_axes(operation, (axis,), x)
    return (*x[:axis], x[axis] * operation.times, *x[axis + 1 :])


def gather(operation: op.Gather, shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    x, axis = shapes[0], operation.axis
    _check_axes(operation, (axis,), x)
    wanted = np.asarray(operation.indices)
    if wanted.ndim != 1 or np.any((wanted < 0) | (wanted >= x[axis])):
        message = f"Gather: received indices {wanted.tolist()}, expected a list of 0 to {x[axis] - 1}"
        raise ShapeError(message)
    return (*x[:axis], len(wanted), *x[axis + 1 :])


def scan(operation: op.Scan, shapes: Sequence[Shape], _constant: Sequence[bool]) -> Shape:
    """The results of all steps; the body takes an element of the sequence and states, gives a result and states."""
    body = operation.body
    wanted = [tuple(node.shape) for node in body.inputs]
    given_ = [tuple(shapes[0][1:]), *map(tuple, shapes[1:])]
    after = [tuple(body[name].shape) for name in body.outputs[1:]]
    if wanted != given_ or after != given_[1:] or len(shapes[0]) == 0 or shapes[0][0] != operation.steps:
        message = (
            f"Scan of {operation.steps} step(s) received a sequence of shape {shapes[0]} and states {given_[1:]}; its "
            f"body takes {wanted} and gives states {after}: expected a sequence ({operation.steps}, ...) and equal "
            "shapes"
        )
        raise ShapeError(message)
    return (operation.steps, *body[body.outputs[0]].shape)
