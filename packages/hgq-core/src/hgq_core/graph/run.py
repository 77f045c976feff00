"""The interpreter: evaluates a Graph on anything that speaks NumPy's protocols.

Numbers run on float64 where the prover shows that 53 bits are enough, else on exact integers; the results are
identical. Intervals, integers and hardware symbols run through the same lines. The two verbs that arrays do not speak
by themselves, `quantize_values` and `lookup_values`, are generic functions: a new kind of array registers its own.
"""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from hgq_core.errors import DataError, GraphError, ShapeError
from hgq_core.graph import ops as op
from hgq_core.graph.integers import IntegerArray
from hgq_core.modes import Overflow, Round
from hgq_core.ops import NUMPY, tree
from hgq_core.quantize import fixed_point

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.graph.ir import Graph, Node

__all__ = ["evaluate", "evaluate_node", "lookup_values", "quantize_values", "run"]

_FAR = 500
"""Binary exponents below this one leave float64 room for a product."""

_COMPARE = {"<": np.less, "<=": np.less_equal, "==": np.equal, ">=": np.greater_equal, ">": np.greater}


def run(graph: Graph, *inputs: Any) -> Any:
    """The outputs of the graph, exact.

    Args:
        graph: a Graph.
        *inputs: one array ``(batch, *shape)`` per Input node, in order: floats, or anything that speaks NumPy's
            protocols and has registered `quantize_values` and `lookup_values`.

    Returns:
        The output ``(batch, *shape)``, float64 for numbers; a tuple if the graph has several outputs.

    Raises:
        DataError: NaN or infinity in the inputs, or a number that the Input's declared format does not hold.
        ShapeError: an input of the wrong shape.
    """
    from hgq_core.graph.prove import prove  # the prover interprets graphs too, with intervals

    numbers = all(isinstance(x, np.ndarray | list | tuple | float | int) for x in inputs)
    if not numbers:
        results = evaluate(graph, inputs)
        return results[0] if len(results) == 1 else results
    arrays = [_checked(node, _floats(node, x)) for node, x in zip_inputs(graph, inputs)]
    if prove(graph).exact_in(53) and all(map(_moderate, arrays)):
        outputs = evaluate(graph, arrays)
    else:
        outputs = tuple(y.values for y in evaluate(graph, [IntegerArray.of(x) for x in arrays]))
    batch = arrays[0].shape[:1] if arrays else (1,)
    outputs = tuple(
        # A negative zero is a zero; a constant is the same in every row.
        (y if y.ndim > len(graph[name].shape) else np.broadcast_to(y, (*batch, *y.shape))) + 0.0
        for name, y in zip(graph.outputs, outputs, strict=True)
    )
    return outputs[0] if len(outputs) == 1 else outputs


def zip_inputs(graph: Graph, inputs: Sequence[Any]) -> list[tuple[Node, Any]]:
    """Input nodes with what is fed to them; raises GraphError if the numbers differ."""
    if len(inputs) != len(graph.inputs):
        names = [node.name for node in graph.inputs]
        message = f"the graph has {len(names)} input(s) {names}, received {len(inputs)}"
        raise GraphError(message)
    return list(zip(graph.inputs, inputs, strict=True))


def _floats(node: Node, x: Any) -> np.ndarray:
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        message = f"input {node.name!r}: received numbers of type {array.dtype}, expected real numbers"
        raise DataError(message)
    floats: np.ndarray = array.astype(np.float64)
    if array.dtype.kind in "iu" and array.size and max(abs(int(array.max())), abs(int(array.min()))) > 2**53:
        message = f"input {node.name!r}: received integers beyond 2**53, which have no float64 value"
        raise DataError(message)
    return floats


def _moderate(x: np.ndarray) -> bool:
    """Whether float64 can scale every number by a power of two without leaving its range."""
    magnitudes = np.abs(x[x != 0])
    return bool(np.all((magnitudes < 2.0**_FAR) & (magnitudes > 2.0**-_FAR)))


def _checked(node: Node, x: np.ndarray) -> np.ndarray:
    if x.shape[1:] != node.shape or x.ndim != len(node.shape) + 1:
        message = f"input {node.name!r}: received shape {x.shape}, expected (batch, {', '.join(map(str, node.shape))})"
        raise ShapeError(message)
    if not np.all(np.isfinite(x)):
        message = f"input {node.name!r} contains NaN or infinity; clean the data first"
        raise DataError(message)
    formats = node.op.formats if isinstance(node.op, op.Input) else None
    if formats is not None:
        if np.max(formats.width, initial=0) > 52 or not _moderate(x):
            held = quantize_values(IntegerArray.of(x), op.Quantize(formats, Round.TRN, Overflow.SAT))
            exact: Any = IntegerArray.of(x)
            outside = np.not_equal(held, exact)
        else:
            scaled = np.ldexp(x, formats.f)
            outside = (x < formats.lowest) | (x > formats.highest) | (scaled != np.rint(scaled))
        if outside.any():
            where = tuple(int(n) for n in np.argwhere(outside)[0])
            message = f"input {node.name!r}: {x[where]} at {where} is not representable in the declared input format"
            raise DataError(message)
    return x


def evaluate(graph: Graph, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Every output of the graph for arrays of any kind; numbers are not checked."""
    values: dict[str, Any] = {node.name: x for node, x in zip_inputs(graph, inputs)}
    exact = any(isinstance(x, IntegerArray) for x in inputs)
    for node in graph:
        if not isinstance(node.op, op.Input):
            value = evaluate_node(node, [values[name] for name in node.inputs])
            # Constants and comparisons are plain arrays, whose sums would round.
            values[node.name] = IntegerArray.of(value) if exact else value
    return tuple(values[name] for name in graph.outputs)


def evaluate_node(node: Node, operands: Sequence[Any]) -> Any:
    """The result of one node; data has a leading batch axis, constants have none."""
    operation = node.op
    match operation:
        case op.Constant():
            return operation.values
        case op.Quantize():
            return quantize_values(operands[0], operation)
        case op.Lookup():
            return lookup_values(operands[0], operation)
        case op.Contract() | op.Convolve():
            return operation.apply(NUMPY, operands[0], operands[1])
        case op.Pool():
            return operation.apply(NUMPY, operands[0])
        case op.Scan():
            return _scan(operation, operands)
        case op.Add() | op.Multiply() | op.Maximum() | op.Minimum():
            return tree(_NARY[type(operation)], list(operands))
        case op.Subtract() | op.Negate() | op.Relu() | op.Clip() | op.Compare() | op.Select():
            return _elementwise(operation, operands)
        case _:
            return _move(operation, operands)


_NARY: dict[type[op.Operation], Callable[[Any, Any], Any]] = {
    op.Add: np.add,
    op.Multiply: np.multiply,
    op.Maximum: np.maximum,
    op.Minimum: np.minimum,
}


def _elementwise(operation: op.Operation, operands: Sequence[Any]) -> Any:
    match operation:
        case op.Subtract():
            return operands[0] - operands[1]
        case op.Negate():
            return -operands[0]
        case op.Relu():
            return np.maximum(operands[0], 0)
        case op.Clip(low=low, high=high):
            return np.minimum(np.maximum(operands[0], low), high)
        case op.Compare(kind=kind):
            return np.where(_COMPARE[kind](operands[0], operands[1]), 1, 0)
        case op.Select():
            return np.where(np.not_equal(operands[0], 0), operands[1], operands[2])
    return _unknown(operation)


def _unknown(operation: op.Operation) -> NoReturn:
    message = f"{type(operation).__name__} cannot be evaluated"
    raise GraphError(message)


def _move(operation: op.Operation, operands: Sequence[Any]) -> Any:
    x = operands[0]
    match operation:
        case op.Reshape(shape=shape):
            return np.reshape(x, (-1, *shape)) if 0 not in shape else np.reshape(x, (x.shape[0], *shape))
        case op.Transpose(axes=axes):
            return np.transpose(x, (0, *(a + 1 for a in axes)))
        case op.Concatenate(axis=axis):
            return np.concatenate(list(operands), axis=axis + 1)
        case op.Slice(start=start, stop=stop, step=step):
            return x[(slice(None), *(slice(*s) for s in zip(start, stop, step, strict=True)))]
        case op.Pad(pads=pads):
            return np.pad(x, [(0, 0), *pads])
        case op.Broadcast(shape=shape):
            lifted = np.reshape(x, (x.shape[0], *([1] * (len(shape) + 1 - x.ndim)), *x.shape[1:]))
            return np.broadcast_to(lifted, (x.shape[0], *shape))
        case op.Repeat(times=times, axis=axis):
            return np.repeat(x, times, axis=axis + 1)
        case op.Gather(indices=indices, axis=axis):
            return np.take(x, indices, axis=axis + 1)
        case op.Reduce(kind=kind, axes=axes, keepdims=keepdims):
            return _REDUCE[kind](x, axis=tuple(a + 1 for a in axes), keepdims=keepdims)
    return _unknown(operation)


_REDUCE: dict[str, Callable[..., Any]] = {"sum": np.sum, "max": np.amax, "min": np.amin}


def _scan(operation: op.Scan, operands: Sequence[Any]) -> Any:
    sequence, *states = operands
    steps = range(operation.steps)
    results = []
    for t in reversed(steps) if operation.reverse else steps:
        y, *states = evaluate(operation.body, [sequence[:, t], *states])
        results.append(y)
    return np.stack(results[::-1] if operation.reverse else results, axis=1)


@singledispatch
def quantize_values(x: Any, operation: op.Quantize) -> Any:
    """Each element in its format; another kind of array registers an implementation: ``quantize_values.register``."""
    message = f"{type(operation).__name__}: cannot take a {type(x).__name__}: register it with quantize_values.register"
    raise TypeError(message)


@singledispatch
def lookup_values(x: Any, operation: op.Lookup) -> Any:
    """Each element through its table; register an implementation for another kind of array."""
    message = f"{type(operation).__name__}: cannot take a {type(x).__name__}: register it with lookup_values.register"
    raise TypeError(message)


@quantize_values.register
def _(x: np.ndarray, operation: op.Quantize) -> np.ndarray:
    k, i, f = (part.astype(np.float64) for part in (operation.formats.k, operation.formats.i, operation.formats.f))
    result: np.ndarray = fixed_point(NUMPY, x, k, i, f, round_mode=operation.round, overflow_mode=operation.overflow)
    return result


@lookup_values.register
def _(x: np.ndarray, operation: op.Lookup) -> np.ndarray:
    return IntegerArray.of(lookup_values(IntegerArray.of(x), operation)).values


@quantize_values.register
def _(x: IntegerArray, operation: op.Quantize) -> IntegerArray:
    formats = operation.formats.broadcast_to(x.shape[1:])
    fraction = max(int(formats.f.max(initial=0)), x.fraction)
    units = x.at(fraction).astype(object)
    step = np.left_shift(np.ones(formats.shape, object), (fraction - formats.f).astype(object))
    k, width = formats.k.astype(object), formats.width
    span = np.left_shift(np.ones(formats.shape, object), width.astype(object))  # number of values
    lowest, highest = -k * (span // 2), span - k * (span // 2) - 1
    if operation.overflow is Overflow.SAT_SYM:
        lowest = -k * highest
    if operation.overflow is not Overflow.WRAP:
        units = np.minimum(np.maximum(units, lowest * step), highest * step)
    integers = _rounded_quotient(units, step, operation.round)
    if operation.overflow is Overflow.WRAP:
        integers = (integers - lowest) % span + lowest
    integers = np.where(width > 0, integers, 0)
    result = IntegerArray((integers * step).astype(object), fraction)
    return _narrowed(result)


def _rounded_quotient(a: np.ndarray, b: np.ndarray, mode: Round) -> np.ndarray:
    """``a / b`` rounded to integers, b > 0."""
    below = a // b
    twice = 2 * (a - below * b)
    tie = {
        Round.RND: np.full(a.shape, True),
        Round.RND_MIN_INF: np.full(a.shape, False),
        Round.RND_ZERO: a < 0,
        Round.RND_INF: a > 0,
        Round.RND_CONV: below % 2 == 1,
    }
    up: np.ndarray
    if mode is Round.TRN:
        up = np.zeros(a.shape, bool)
    elif mode is Round.TRN_ZERO:
        up = (a < 0) & (twice != 0)
    else:
        up = (twice > b) | ((twice == b) & tie[mode].astype(bool))
    quotient: np.ndarray = below + up.astype(object)
    return quotient


def _narrowed(x: IntegerArray) -> IntegerArray:
    """The same numbers on int64 if they fit."""
    if x.integers.size and max(abs(int(x.integers.max())), abs(int(x.integers.min()))) >= 2**62:
        return x
    return IntegerArray(x.integers.astype(np.int64), x.fraction)


@lookup_values.register
def _(x: IntegerArray, operation: op.Lookup) -> IntegerArray:
    formats = operation.formats
    fraction = max(int(formats.f.max(initial=0)), x.fraction)
    step = np.left_shift(np.ones(formats.shape, object), (fraction - formats.f).astype(object))
    units = x.at(fraction).astype(object)
    code = units // step
    span = np.left_shift(np.ones(formats.shape, object), formats.width.astype(object))
    lowest = -formats.k.astype(object) * (span // 2)
    if np.any((code * step != units) | (code < lowest) | (code >= lowest + span)):
        message = "a table received a number that its input format does not hold; quantize its input to that format"
        raise DataError(message)
    code = (code % span).astype(np.int64)
    result = np.zeros(x.shape, dtype=np.int64)
    for number, table in enumerate(operation.tables):
        mine = operation.index == number
        result[:, mine] = table[code[:, mine]]
    return IntegerArray(result, operation.fraction)
