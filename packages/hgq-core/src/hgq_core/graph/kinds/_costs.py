"""EBOPs of each kind of node, and the widths that it passes on: ``(ops, op, bits, operands, shape)``.

``bits`` are those of the operands: None where no quantizer has set them, ``(1, *shape)`` or broadcastable to it for
data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core._cost_rules import (
    ADDER,
    bias_cost,
    contraction_cost,
    convolution_cost,
    edge_cost,
    lookup_cost,
    merge_cost,
    pooling_cost,
    product_cost,
    reduction_cost,
    widest,
    widest_along,
)
from hgq_core.modes import Overflow
from hgq_core.ops import NUMPY
from hgq_core.quantizer.bits import counted_bits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.formats import Formats
    from hgq_core.graph import ops as op
    from hgq_core.graph.kinds._row import Operand
    from hgq_core.graph.ops import Shape
    from hgq_core.ops import Ops

    Bits = Sequence[Any]
    Rule = Callable[[Ops, Any, Bits, Sequence[Operand], Shape], Any]

__all__ = [
    "added",
    "affine",
    "compared",
    "contracted",
    "convolved",
    "free",
    "looked_up",
    "moved",
    "multiplied",
    "of_constant",
    "of_first",
    "of_input",
    "of_quantize",
    "of_table",
    "of_widest",
    "of_widest_along",
    "pooled",
    "reduced",
    "subtracted",
    "unset",
]


# --- cost ---


def free(_ops: Ops, _operation: Any, _bits: Bits, _operands: Sequence[Operand], _shape: Shape) -> float:
    """It costs nothing: wiring, constants, and what a quantizer does to data."""
    return 0.0


def _if_all_set(rule: Rule) -> Rule:
    """0.0 where an operand carries no counted width."""

    def rule_or_nothing(ops: Ops, operation: Any, bits: Bits, operands: Sequence[Operand], shape: Shape) -> Any:
        return 0.0 if any(b is None for b in bits) else rule(ops, operation, bits, operands, shape)

    return rule_or_nothing


@_if_all_set
def contracted(ops: Ops, operation: op.Contract, bits: Bits, operands: Sequence[Operand], _shape: Shape) -> Any:
    full = [x.shape if x.constant else (1, *x.shape) for x in operands]
    sizes = {letter: int(n or 1) for letter, n in operation.sizes(full[0], full[1]).items()}
    return contraction_cost(ops, operation, bits[0], bits[1], sizes)


@_if_all_set
def convolved(ops: Ops, operation: op.Convolve, bits: Bits, operands: Sequence[Operand], _shape: Shape) -> Any:
    return convolution_cost(ops, operation, bits[0], bits[1], operands[0].shape[:-1], operands[1].shape)


@_if_all_set
def pooled(ops: Ops, operation: op.Pool, bits: Bits, operands: Sequence[Operand], _shape: Shape) -> Any:
    return pooling_cost(ops, operation, bits[0], operands[0].shape)


@_if_all_set
def reduced(ops: Ops, operation: op.Reduce, bits: Bits, operands: Sequence[Operand], _shape: Shape) -> Any:
    return reduction_cost(ops, bits[0], operation.axes, operands[0].shape, ADDER if operation.kind == "sum" else 1.0)


@_if_all_set
def subtracted(ops: Ops, _operation: Any, bits: Bits, _operands: Sequence[Operand], shape: Shape) -> Any:
    return merge_cost(ops, bits, shape, ADDER)


@_if_all_set
def compared(ops: Ops, _operation: Any, bits: Bits, _operands: Sequence[Operand], shape: Shape) -> Any:
    """Of maximum, minimum and comparison."""
    return merge_cost(ops, bits, shape, 1.0)


@_if_all_set
def multiplied(ops: Ops, _operation: op.Multiply, bits: Bits, _operands: Sequence[Operand], shape: Shape) -> Any:
    return product_cost(ops, bits, shape)


@_if_all_set
def looked_up(ops: Ops, operation: op.Lookup, bits: Bits, _operands: Sequence[Operand], shape: Shape) -> Any:
    if operation.bits is None:
        return 0.0
    given = _wide(ops, operation.bits, (1, *shape))
    if operation.table_idxs is None:
        return lookup_cost(ops, bits[0], given, shape)
    # The sign counts: under SAT it is among the counted bits.
    formats = operation.formats.broadcast_to(shape)
    alone = np.maximum(formats.i + formats.f, 0)
    signed = ops.constant(np.where(alone > 0, formats.k + alone, 0)[None].astype(float))
    return edge_cost(ops, ops.maximum(bits[0], signed), given, shape, operation.table_idxs)


def added(ops: Ops, _operation: op.Add, bits: Bits, operands: Sequence[Operand], shape: Shape) -> Any:
    """Of a bias the constant's bits at every output position, besides the sum of what is data."""
    biases = [b for b, x in zip(bits, operands, strict=True) if x.constant and b is not None]
    data = [b for b, x in zip(bits, operands, strict=True) if not x.constant]
    total: Any = sum(bias_cost(ops, b, shape) for b in biases) if biases else 0.0
    if len(data) > 1 and not any(b is None for b in bits):
        adders = merge_cost(ops, data, shape, ADDER)
        return total + adders if biases else adders
    return total


# --- counted widths of the result ---


def unset(_ops: Ops, _operation: Any, _bits: Bits, _operands: Sequence[Operand], _shape: Shape) -> None:
    """No quantizer has set the width of what is computed."""


def of_quantize(ops: Ops, operation: op.Quantize, _bits: Bits, _operands: Sequence[Operand], shape: Shape) -> Any:
    return ops.constant(_of_formats(operation.formats, operation.overflow, shape))


def of_input(ops: Ops, operation: op.Input, _bits: Bits, _operands: Sequence[Operand], shape: Shape) -> Any:
    if operation.formats is None:
        return None
    return ops.constant(_of_formats(operation.formats, Overflow.WRAP, shape))


def _of_formats(formats: Formats, overflow: Overflow, shape: Shape) -> Any:
    wide = formats.broadcast_to(shape)
    k, i, f = (part[None].astype(float) for part in (wide.k, wide.i, wide.f))
    return counted_bits(NUMPY, k, i, f, overflow)


def of_constant(ops: Ops, operation: op.Constant, _bits: Bits, _operands: Sequence[Operand], shape: Shape) -> Any:
    return None if operation.bits is None else _wide(ops, operation.bits, shape)


def of_table(ops: Ops, operation: op.Lookup, _bits: Bits, _operands: Sequence[Operand], shape: Shape) -> Any:
    return None if operation.bits is None else _wide(ops, operation.bits, (1, *shape))


def _wide(ops: Ops, bits: Any, shape: Shape) -> Any:
    return ops.constant(np.broadcast_to(bits, shape).astype(float))


def of_first(_ops: Ops, _operation: Any, bits: Bits, _operands: Sequence[Operand], _shape: Shape) -> Any:
    """Limits and a change of sign leave the widths as they were."""
    return bits[0]


def of_widest(ops: Ops, _operation: Any, bits: Bits, _operands: Sequence[Operand], shape: Shape) -> Any:
    """A number that is one of the operands is no wider than the widest of them."""
    return None if any(b is None for b in bits) else widest(ops, bits, shape)


def of_widest_along(ops: Ops, operation: op.Reduce, bits: Bits, operands: Sequence[Operand], shape: Shape) -> Any:
    """The same for the largest or smallest element along axes."""
    if bits[0] is None or operation.kind == "sum":
        return None
    return ops.reshape(widest_along(ops, bits[0], operation.axes, operands[0].shape), (1, *shape))


def affine(ops: Ops, _operation: Any, bits: Bits, operands: Sequence[Operand], shape: Shape) -> Any:
    """A map by constants that cost nothing leaves the widths as they were."""
    data = [n for n, x in enumerate(operands) if not x.constant]
    if len(data) != 1 or any(b is not None for n, b in enumerate(bits) if n != data[0]) or bits[data[0]] is None:
        return None
    return ops.broadcast_to(bits[data[0]], (1, *shape))


def moved(evaluate: Callable[[Ops, Any, Sequence[Any]], Any]) -> Rule:
    """The widths move with the numbers."""

    def rule(ops: Ops, operation: Any, bits: Bits, operands: Sequence[Operand], _shape: Shape) -> Any:
        if any(b is None for b in bits):
            return None
        full = [ops.broadcast_to(b, (1, *x.shape)) for b, x in zip(bits, operands, strict=True)]
        return evaluate(ops, operation, full)

    return rule
