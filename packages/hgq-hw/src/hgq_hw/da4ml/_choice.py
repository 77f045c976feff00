"""Comparing and choosing on da4ml's symbols.

A da4ml symbol carries a factor, whose sign is free wiring until something has to be compared. da4ml 0.6.0 loses that
sign when it chooses between a constant and a negated symbol, and it does not take NumPy's comparisons. Operands go
through `settled` first, which leaves no such pair.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from da4ml.trace import FixedVariable, FixedVariableArray

from hgq_core.graph.evaluate import evaluate_node
from hgq_core.graph.ops import Clip, Compare, Operation, Pool, Reduce, Select

__all__ = ["choose", "separate_constants"]


def choose(node: Any, operands: list[Any]) -> Any:
    """The result of a node that compares or chooses: Clip, Compare, Maximum, Minimum, Pool, Reduce, Select."""
    op: Operation = node.op
    template = next(x for x in operands if isinstance(x, FixedVariableArray))
    match op:
        case Clip(low=low, high=high):
            return _each(template, lambda v: minimum(maximum(v, low), high))
        case Compare(kind=kind):
            a, b = _symbols(operands, template)
            if kind == "==":
                return _equal(a, b)
            results = {"<": a.__lt__, "<=": a.__le__, ">=": a.__ge__, ">": a.__gt__}
            return results[kind](b)
        case Select():
            condition, a, b = _symbols(operands, template)
            return np.where(condition, *settled([a, b]))
        case Pool(kind="sum") | Reduce(kind="sum"):
            return evaluate_node(node, operands)
        case _:
            return evaluate_node(node, settled(_symbols(operands, template)))


def maximum(v: Any, bound: float) -> Any:
    """The larger one of a symbol and a number."""
    return -((-v).min_of(-bound)) if _negated(v) else v.max_of(bound)


def minimum(v: Any, bound: float) -> Any:
    """The smaller one of a symbol and a number."""
    return -((-v).max_of(-bound)) if _negated(v) else v.min_of(bound)


def settled(arrays: list[Any]) -> list[Any]:
    """The same numbers, without negated symbols if there are constants among them, and with plain constants."""
    if not any(_fixed(v) for x in arrays for v in _flat(x)):
        return arrays
    return [_each(x, _settled) for x in arrays]


def _equal(a: Any, b: Any) -> Any:
    """1 where ``a == b``: neither is less.

    da4ml's own ``==`` takes the OR of all bits of the difference and gives it the difference's scale factor with the
    range [0, 1]. When a pipeline is balanced the logic is traced again, that factor is lost, and the result is off by
    it. A sign bit is only wiring, whose scale always survives.
    """
    unequal = (a < b) + (b < a)
    return _each(unequal, lambda v: (1 - v).quantize(0, 1, 0))


def separate_constants(x: Any) -> tuple[Any, Any]:
    """``x`` as symbols whose constants are all 0, plus numbers; the numbers are None if there is none but 0."""
    numbers = np.array([float(v.low) if _fixed(v) else 0.0 for v in _flat(x)]).reshape(x.shape)
    if not numbers.any():
        return x, None
    return _each(x, lambda v: FixedVariable.from_const(0.0, hwconf=v.hwconf) if _fixed(v) else v), numbers


def _settled(v: Any) -> Any:
    if _fixed(v):
        return FixedVariable.from_const(float(v.low), hwconf=v.hwconf)
    return v.quantize(*v.kif, _force_factor_clear=True) if _negated(v) else v


def _fixed(v: Any) -> bool:
    return bool(v.low == v.high)


def _negated(v: Any) -> bool:
    return bool(v._factor < 0)


def _flat(x: Any) -> list[Any]:
    flat = x.ravel()
    return [flat[position] for position in range(x.size)]


def _each(x: Any, function: Any) -> Any:
    results = np.empty(x.size, dtype=object)
    for position, v in enumerate(_flat(x)):
        results[position] = function(v)
    return FixedVariableArray(results.reshape(x.shape), x.solver_options, hwconf=x.hwconf)


def _symbols(operands: list[Any], template: Any) -> list[Any]:
    """Every operand as symbols; a constant gets a batch axis, and the rank that broadcasting gives it."""
    rank = max(x.ndim for x in operands)
    results = []
    for x in operands:
        if isinstance(x, FixedVariableArray):
            results.append(x)
            continue
        numbers = np.asarray(x, dtype=np.float64)
        numbers = numbers.reshape((1,) * (rank - numbers.ndim) + numbers.shape)
        results.append(FixedVariableArray(numbers.astype(object), template.solver_options, hwconf=template.hwconf))
    return results
