"""One rule per operation: how it is written with what hls4ml has. Linear operations are in `hgq_hw.hls4ml.linear`."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.formats import Formats
from hgq_core.graph.ops import (
    Add,
    Broadcast,
    Clip,
    Compare,
    Concatenate,
    Contract,
    Gather,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Negate,
    Operation,
    Pad,
    Pool,
    Quantize,
    Reduce,
    Relu,
    Repeat,
    Reshape,
    Scan,
    Select,
    Slice,
    Subtract,
    Transpose,
)
from hgq_core.modes import Overflow, Round
from hgq_hw.hls4ml.boundary import effective
from hgq_hw.hls4ml.options import PER_TENSOR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_hw.hls4ml.legal import Legalizer

__all__ = ["rule"]

_MOST_TABLES = 256


@singledispatch
def rule(op: Operation, legal: Legalizer, *inputs: str) -> str:
    """Append ``op`` on the tensors ``inputs`` to the legal graph and return the result's name.

    Raises:
        UnsupportedError: there is no exact way; names the node and the remedy.
    """
    del op, inputs
    raise legal.refused("has no counterpart", "express the layer with other operations, or use the da4ml target")


@rule.register(Compare)
@rule.register(Select)
def _(op: Compare | Select, legal: Legalizer, *inputs: str) -> str:
    del op, inputs
    raise legal.refused("has no counterpart", "use a lookup table or maximum and minimum instead, or the da4ml target")


@rule.register(Scan)
def _(op: Scan, legal: Legalizer, *inputs: str) -> str:
    del op, inputs
    raise legal.refused("is a recurrence", "use the da4ml target")


@rule.register(Quantize)
def _(op: Quantize, legal: Legalizer, x: str) -> str:
    """Elements that can only be 0 are written as 0.

    To round, ``ap_fixed`` reads the bit below the new step. Where that bit lies above all bits of the source there is
    none, and the C simulation ends the whole process. Such a number is less than half a step, so that it is 0.
    """
    formats = effective(op.formats, op.overflow)
    (given,) = legal.operand_formats
    wide = formats.broadcast_to(legal.node.shape)
    rounded_off = (op.round is not Round.TRN) & (given.k + given.i < -wide.f)
    zero = ~given.alive | ~wide.alive | rounded_off
    if legal.plain or legal.stream:
        return _of_one_type(op, formats, zero, legal, x)
    if np.any(zero & wide.alive):
        formats = Formats(*(np.where(zero, 0, part) for part in (wide.k, wide.i, wide.f)))
    return legal.add(Quantize(formats, op.round, op.overflow), x)


def _of_one_type(op: Quantize, formats: Formats, zero: NDArray[np.bool_], legal: Legalizer, x: str) -> str:
    """A quantizer where all elements have one type: another layer gives it its bits, unless there is none to give."""
    (given,) = legal.operand_formats
    wide = formats.broadcast_to(legal.node.shape)
    if zero.all():
        return legal.affine(x, 0.0)
    # The lowest number of a signed format has no place in the symmetric range of the same format.
    lowest = (given.k > 0) & (op.overflow is Overflow.SAT_SYM)
    if np.all((given.k <= wide.k) & (given.i + lowest <= wide.i) & (given.f <= wide.f) | ~given.alive):
        # hls4ml drops it, an output too.
        return x
    if legal.plain and wide.width[wide.alive].max() == 1:
        what = f"rounds or cuts to one bit, for which the types of hls4ml's {', '.join(PER_TENSOR)} have two"
        raise legal.refused(what, "give it one bit more, or use the back end Vitis or Vivado")
    return legal.add(Quantize(formats, op.round, op.overflow), x)


@rule.register(Relu)
@rule.register(Reshape)
def _(op: Relu | Reshape, legal: Legalizer, x: str) -> str:
    return legal.reshape(x, op.shape) if isinstance(op, Reshape) else legal.add(op, x)


@rule.register(Transpose)
def _(op: Transpose, legal: Legalizer, x: str) -> str:
    return legal.transpose(x, op.axes)


@rule.register(Concatenate)
def _(op: Concatenate, legal: Legalizer, *inputs: str) -> str:
    if any(legal.constant_values(x) is not None for x in inputs):
        raise legal.refused("joins data with a constant", "add the constant elements behind the model instead")
    return legal.concatenate(inputs, op.axis)


@rule.register(Negate)
def _(op: Negate, legal: Legalizer, x: str) -> str:
    del op
    return legal.affine(x, -1.0)


@rule.register(Clip)
def _(op: Clip, legal: Legalizer, x: str) -> str:
    return _at_most(legal, _at_least(legal, x, op.low), op.high)


def _at_least(legal: Legalizer, x: str, low: NDArray[np.float64] | float) -> str:
    """``max(x, low) = relu(x - low) + low`` for a constant."""
    return legal.affine(legal.add(Relu(), legal.affine(x, 1.0, np.negative(low))), 1.0, low)


def _at_most(legal: Legalizer, x: str, high: NDArray[np.float64] | float) -> str:
    """``min(x, high) = high - relu(high - x)`` for a constant."""
    return legal.affine(legal.add(Relu(), legal.affine(x, -1.0, high)), -1.0, high)


@rule.register(Add)
@rule.register(Multiply)
@rule.register(Maximum)
@rule.register(Minimum)
def _(op: Add | Multiply | Maximum | Minimum, legal: Legalizer, *inputs: str) -> str:
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
                result = _at_most(legal, result, values)
    return result


@rule.register(Subtract)
def _(op: Subtract, legal: Legalizer, x: str, y: str) -> str:
    shape = legal.node.shape
    x_values, y_values = legal.constant_values(x), legal.constant_values(y)
    if y_values is not None:
        return legal.affine(legal.broadcast(x, shape), 1.0, -y_values)
    if x_values is not None:
        return legal.affine(legal.broadcast(y, shape), -1.0, x_values)
    return legal.add(op, legal.broadcast(x, shape), legal.broadcast(y, shape))


@rule.register(Reduce)
def _(op: Reduce, legal: Legalizer, x: str) -> str:
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


@rule.register(Slice)
def _(op: Slice, legal: Legalizer, x: str) -> str:
    for axis, part in enumerate(zip(op.start, op.stop, op.step, strict=True)):
        x = legal.take(x, axis, np.arange(legal.shape(x)[axis])[slice(*part)])
    return x


@rule.register(Pad)
def _(op: Pad, legal: Legalizer, x: str) -> str:
    for axis, (before, after) in enumerate(op.pads):
        x = legal.take(x, axis, np.pad(np.arange(legal.shape(x)[axis]), (before, after), constant_values=-1))
    return x


@rule.register(Broadcast)
def _(op: Broadcast, legal: Legalizer, x: str) -> str:
    return legal.broadcast(x, op.shape)


@rule.register(Repeat)
def _(op: Repeat, legal: Legalizer, x: str) -> str:
    return legal.take(x, op.axis, np.repeat(np.arange(legal.shape(x)[op.axis]), op.times))


@rule.register(Gather)
def _(op: Gather, legal: Legalizer, x: str) -> str:
    size = legal.shape(x)[op.axis]
    return legal.take(x, op.axis, np.asarray(op.indices) % size)


@rule.register(Lookup)
def _(op: Lookup, legal: Legalizer, x: str) -> str:
    """hls4ml has one table for a tensor: elements with the same table and format are brought together."""
    shape = legal.node.shape
    formats, index = op.formats.broadcast_to(shape), np.broadcast_to(op.index, shape)
    keys = np.stack([part.ravel() for part in (index, formats.k, formats.i, formats.f)])
    groups, member = np.unique(keys, axis=1, return_inverse=True)
    member = member.ravel()
    if groups.shape[1] > _MOST_TABLES:
        raise legal.refused(
            f"has {groups.shape[1]} different tables, expected at most {_MOST_TABLES}",
            "share the table between elements (heterogeneous_axis=() for its input quantizer)",
        )
    if groups.shape[1] == 1:
        return _one_table(op, legal, x, groups[:, 0])
    flat = legal.flat(x)
    places = [np.flatnonzero(member == g) for g in range(groups.shape[1])]
    parts = [_one_table(op, legal, legal.take(flat, 0, place), groups[:, g]) for g, place in enumerate(places)]
    joined = legal.concatenate(parts, 0)
    return legal.reshape(legal.take(joined, 0, np.argsort(np.concatenate(places))), shape)


def _one_table(op: Lookup, legal: Legalizer, x: str, key: NDArray[np.int64]) -> str:
    """A Lookup with the table and format ``key = (index, k, i, f)`` for every element."""
    shape = legal.shape(x)
    table = op.tables[key[0]]
    if len(table) == 1:  # the input has no bits
        value = float(np.ldexp(float(table[0]), -op.fraction))
        return legal.affine(x, np.zeros(shape), np.full(shape, value))
    formats = type(op.formats).of(*(np.full(shape, part) for part in key[1:]))
    return legal.add(Lookup(formats, (table,), op.fraction, np.zeros(shape, dtype=np.int64)), x)
