"""Rules for arithmetic, comparisons with constants and reductions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hgq_core.graph.ops import (
    Add,
    Clip,
    Contract,
    Maximum,
    Minimum,
    Multiply,
    Negate,
    Operation,
    Pool,
    Reduce,
    Relu,
    Subtract,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_hw.hls4ml.legal._legalizer import Legalizer

__all__ = ["as_it_is", "at_most", "clip", "combine", "negate", "reduce", "subtract"]


def as_it_is(op: Operation, legal: Legalizer, *inputs: str) -> str:
    """hls4ml has a layer for it."""
    return legal.add(op, *inputs)


def negate(op: Negate, legal: Legalizer, x: str) -> str:
    del op
    return legal.affine(x, -1.0)


def clip(op: Clip, legal: Legalizer, x: str) -> str:
    return at_most(legal, _at_least(legal, x, op.low), op.high)


def _at_least(legal: Legalizer, x: str, low: NDArray[np.float64] | float) -> str:
    """``max(x, low) = relu(x - low) + low`` for a constant."""
    return legal.affine(legal.add(Relu(), legal.affine(x, 1.0, np.negative(low))), 1.0, low)


def at_most(legal: Legalizer, x: str, high: NDArray[np.float64] | float) -> str:
    """``min(x, high) = high - relu(high - x)`` for a constant."""
    return legal.affine(legal.add(Relu(), legal.affine(x, -1.0, high)), -1.0, high)


def combine(op: Add | Multiply | Maximum | Minimum, legal: Legalizer, *inputs: str) -> str:
    shape = legal.node.shape
    data = [legal.broadcast(x, shape) for x in inputs if legal.constant_values(x) is None]
    constants = [values for x in inputs if (values := legal.constant_values(x)) is not None]
    result = data[0]
    for other in data[1:]:
        result = legal.add(op, result, other)
    for values in constants:
        match op:
            case Add():
                result = legal.affine(result, 1.0, values)
            case Multiply():
                result = legal.affine(result, values)
            case Maximum():
                result = _at_least(legal, result, values)
            case Minimum():
                result = at_most(legal, result, values)
    return result


def subtract(op: Subtract, legal: Legalizer, x: str, y: str) -> str:
    shape = legal.node.shape
    x_values, y_values = legal.constant_values(x), legal.constant_values(y)
    if y_values is not None:
        return legal.affine(legal.broadcast(x, shape), 1.0, -y_values)
    if x_values is not None:
        return legal.affine(legal.broadcast(y, shape), -1.0, x_values)
    return legal.add(op, legal.broadcast(x, shape), legal.broadcast(y, shape))


def reduce(op: Reduce, legal: Legalizer, x: str) -> str:
    shape = legal.shape(x)
    axes = [a % len(shape) for a in op.axes]
    rest = [a for a in range(len(shape)) if a not in axes]
    if op.kind == "sum" and not rest:
        return legal.reshape(legal.along_axis(legal.flat(x), 0, np.ones((int(np.prod(shape)), 1))), legal.node.shape)
    if op.kind == "sum":
        letters = "acdefghijkl"[: len(shape)]
        gone, kept = ("".join(letters[a] for a in group) for group in (axes, rest))
        ones = legal.constant(np.ones([shape[a] for a in axes]))
        return legal.reshape(legal.add(Contract(f"b{letters},{gone}->b{kept}"), x, ones), legal.node.shape)
    rows = int(np.prod([shape[a] for a in axes]))
    columns = int(np.prod([shape[a] for a in rest]))
    sign = -1.0 if op.kind == "min" else 1.0
    table = legal.reshape(legal.transpose(legal.affine(x, sign), axes + rest), (rows, columns))
    best = legal.add(Pool("max", (rows,), (rows,), ((0, 0),)), table)
    return legal.reshape(legal.affine(best, sign), legal.node.shape)
