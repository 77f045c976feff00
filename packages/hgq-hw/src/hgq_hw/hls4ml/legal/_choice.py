"""Rules for comparisons and choices, by arithmetic: hls4ml has a layer for neither.

A number is above 0 where it is one step of its format or more: ``min(relu(x / step), 1)`` is 1 there, and else 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hgq_core.graph.ops import Add, Compare, Multiply, Relu, Select, Subtract
from hgq_hw.hls4ml.legal._elementwise import at_most, combine, subtract

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_hw.hls4ml.legal._legalizer import Legalizer

__all__ = ["compare", "select"]


def _above_zero(legal: Legalizer, x: str, fraction: NDArray[np.int64]) -> str:
    """1 where x is above 0, else 0, for numbers with so many fraction bits."""
    return at_most(legal, legal.add(Relu(), legal.affine(x, np.ldexp(1.0, fraction))), 1.0)


def compare(op: Compare, legal: Legalizer, x: str, y: str) -> str:
    fraction = np.broadcast_to(np.maximum(legal.fraction_bits(0), legal.fraction_bits(1)), legal.node.shape)
    difference = subtract(Subtract(), legal, x, y)
    if op.kind in (">", "<="):
        larger = _above_zero(legal, difference, fraction)
        return larger if op.kind == ">" else legal.affine(larger, -1.0, 1.0)
    smaller = _above_zero(legal, legal.affine(difference, -1.0), fraction)
    if op.kind in ("<", ">="):
        return smaller if op.kind == "<" else legal.affine(smaller, -1.0, 1.0)
    return legal.affine(legal.add(Add(), _above_zero(legal, difference, fraction), smaller), -1.0, 1.0)


def select(op: Select, legal: Legalizer, condition: str, x: str, y: str) -> str:
    """``y + condition * (x - y)`` with a condition of 0 and 1."""
    del op
    known = legal.constant_values(condition)
    if known is not None:
        chosen = legal.constant(known != 0)
    elif isinstance(legal.graph[legal.node.inputs[0]].op, Compare):
        chosen = condition
    else:
        fraction = legal.fraction_bits(0)
        above = _above_zero(legal, condition, fraction)
        chosen = legal.add(Add(), above, _above_zero(legal, legal.affine(condition, -1.0), fraction))
    return _both(Add(), legal, y, _both(Multiply(), legal, chosen, _difference(legal, x, y)))


def _difference(legal: Legalizer, x: str, y: str) -> str:
    a, b = legal.constant_values(x), legal.constant_values(y)
    return subtract(Subtract(), legal, x, y) if a is None or b is None else legal.constant(a - b)


def _both(op: Add | Multiply, legal: Legalizer, x: str, y: str) -> str:
    """A sum or product of two tensors, of which both may be constant."""
    a, b = legal.constant_values(x), legal.constant_values(y)
    if a is None or b is None:
        return combine(op, legal, x, y)
    return legal.constant(a + b if isinstance(op, Add) else a * b)
