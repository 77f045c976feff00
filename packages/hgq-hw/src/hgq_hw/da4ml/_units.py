"""Sums of da4ml's symbols in units that stay near 1."""

from __future__ import annotations

from math import log2
from typing import Any

import numpy as np
from da4ml.trace import FixedVariableArray

__all__ = ["added"]

_FAR = 16
"""Units within this many powers of two of 1 are left as they are."""


def added(a: Any, b: Any) -> Any:
    """``a + b``, in units of the operand whose unit is nearer to 1 where one is far from it.

    da4ml counts a sum in units of one operand, the first unless that is negated. Units of a product multiply, so that
    in a loop they would grow from step to step until no number holds a constant in them.
    """
    if not (isinstance(a, FixedVariableArray) and isinstance(b, FixedVariableArray)):
        return a + b
    if max(map(_distance, (*a.ravel(), *b.ravel()))) <= _FAR:
        return a + b
    first, second = np.broadcast_arrays(np.asarray(a), np.asarray(b))
    sums = np.empty(first.shape, dtype=object)
    for place in np.ndindex(*first.shape):
        sums[place] = _sum(first[place], second[place])
    return FixedVariableArray(sums, a.solver_options, hwconf=a.hwconf)


def _sum(a: Any, b: Any) -> Any:
    near, far = sorted((a, b), key=_distance)
    return -((-near) + (-far)) if near._factor < 0 else near + far


def _distance(v: Any) -> float:
    """How many powers of two its unit is away from 1; of a constant, none."""
    return 0.0 if v.low == v.high else abs(log2(abs(v._factor)))
