"""A graph input that shows a finding: one for which a number or a partial sum in a node does not fit into float32."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.formats import Formats
from hgq_core.graph import ops as op
from hgq_core.graph.evaluate import evaluate_node, quantize_values, zip_inputs
from hgq_core.graph.integers import IntegerArray, bit_length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from hgq_core.graph.ir import Graph, Node
    from hgq_core.graph.prove import Finding

__all__ = ["witness"]

_FLOAT32 = 24
_WIDEST = 52
_ROWS = 32
_CHUNKS = 8


def witness(graph: Graph, finding: Finding) -> Finding:
    """The finding with an input that shows it, evaluated with exact integers.

    The search tries the corners of the input formats and random representable inputs, 256 in all and the same every
    time. The first one is taken for which the node's exact value, or a partial sum in the order of its terms, needs
    more than 24 significant bits. The prover's bound holds for any order and any input, so that there need not be one.

    Args:
        graph: the graph that was proved.
        finding: of kind ``inexact``; another one is returned as it is.

    Returns:
        The finding with `Finding.witness`, one array ``(1, *shape)`` per Input; or, if the search finds none, with a
        ``detail`` that says so.

    >>> from hgq_core.graph import GraphBuilder, prove
    >>> builder = GraphBuilder()
    >>> x = builder.add(op.Input((1,), Formats.of(0, 20, 0)))
    >>> graph = builder.build([builder.add(op.Multiply(), x, builder.add(op.Constant.of([1023.0])))])
    >>> witness(graph, prove(graph).findings[0]).witness
    (array([[1048575.]]),)
    """
    if finding.kind != "inexact":
        return finding
    for inputs in _candidates(graph):
        rows = np.flatnonzero(_inexact(graph, finding.node, inputs))
        if rows.size:
            return replace(finding, witness=tuple(x[rows[:1]] for x in inputs))
    tried = f"{finding.detail}; none of {_ROWS * _CHUNKS} representable inputs that were tried shows it"
    return replace(finding, detail=tried)


def _inexact(graph: Graph, name: str, inputs: tuple[NDArray[np.float64], ...]) -> NDArray[np.bool_]:
    """For each row of the batch, whether float32 would round in this node."""
    values: dict[str, Any] = {node.name: IntegerArray.of(x) for node, x in zip_inputs(graph, inputs)}
    for node in graph:
        operands = [values[operand] for operand in node.inputs]
        if node.name == name:
            watch = np.zeros(len(inputs[0]), dtype=bool)
            if isinstance(node.op, op.Input):
                _note(watch, values[name])
            else:
                _note(watch, evaluate_node(node, [_watched(x, watch) for x in operands]))
            return watch
        if not isinstance(node.op, op.Input):
            values[node.name] = evaluate_node(node, operands)
    return np.zeros(len(inputs[0]), dtype=bool)


# --- inputs to try ---


def _candidates(graph: Graph) -> Iterator[tuple[NDArray[np.float64], ...]]:
    """Batches of representable inputs: the highest, the lowest, both by turns, random corners and random numbers."""
    rng = np.random.default_rng(0)
    ranges = [(_formats(graph, node), node.shape) for node in graph.inputs]
    for chunk in range(_CHUNKS):
        batch = []
        for formats, shape in ranges:
            wide = formats.broadcast_to(shape)
            top = 2 ** np.clip(wide.width - wide.k, 0, _WIDEST)
            lowest, highest = -wide.k * top, top - 1
            shares = rng.uniform(size=(_ROWS, *shape))
            if chunk % 2 == 0:
                shares = np.rint(shares)
            if chunk == 0:
                shares[0], shares[1] = 1.0, 0.0
                shares[2] = np.arange(int(np.prod(shape))).reshape(shape) % 2
            units = np.floor(lowest + shares * (highest - lowest))
            batch.append(np.where(wide.alive, np.ldexp(units, -wide.f), 0.0))
        yield tuple(batch)


def _formats(graph: Graph, node: Node) -> Formats:
    """The declared formats of an Input; for real numbers those of the quantizers that they reach."""
    if isinstance(node.op, op.Input) and node.op.formats is not None:
        return node.op.formats
    real, found = {node.name}, []
    for reader in graph:
        if real.isdisjoint(reader.inputs):
            continue
        if isinstance(reader.op, op.Quantize):
            if node.name in reader.inputs:
                return reader.op.formats
            found.append(reader.op.formats)
        else:
            real.add(reader.name)
    if not found:
        return Formats.of(1, 0, 0)
    return Formats.of(*(max(int(getattr(formats, part).max(initial=-1)) for formats in found) for part in "kif"))


# --- exact integers that look at every intermediate result ---


def _note(watch: NDArray[np.bool_], x: Any) -> None:
    """Mark the rows in which a number needs more significant bits than float32 has."""
    integers = np.abs(IntegerArray.of(x).integers)
    wide = bit_length(integers) - bit_length(integers & -integers) + 1 > _FLOAT32
    watch |= wide.reshape(len(watch), -1).any(axis=1)


class _Watched(IntegerArray):
    """Exact integers with the batch axis first; sums run in the order of their terms, and every result is looked at."""

    def __init__(self, exact: IntegerArray, watch: NDArray[np.bool_]) -> None:
        super().__init__(exact.integers, exact.fraction)
        self.watch = watch

    def __getitem__(self, key: Any) -> IntegerArray:
        return _Watched(super().__getitem__(key), self.watch)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.einsum:
            return self._last(_products(*args))
        if function is np.sum:
            return self._last(_terms(*args, **kwargs))
        return self._seen(super().__array_function__(function, types, args, kwargs))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._seen(super().__array_ufunc__(ufunc, method, *args, **kwargs))

    def _seen(self, result: Any) -> Any:
        if not isinstance(result, IntegerArray):
            return result
        _note(self.watch, result)
        return _Watched(result, self.watch)

    def _last(self, terms: Iterator[IntegerArray]) -> Any:
        total: Any = None
        for total in accumulate(terms, lambda a, b: a + b):
            _note(self.watch, total)
        return _Watched(total, self.watch)


@quantize_values.register
def _(x: _Watched, operation: op.Quantize) -> Any:
    plain: Any = quantize_values(IntegerArray(x.integers, x.fraction), operation)
    return _Watched(plain, x.watch)


def _watched(x: Any, watch: NDArray[np.bool_]) -> Any:
    """Data is watched; constants, which have no batch axis, stay plain arrays."""
    return _Watched(x, watch) if isinstance(x, IntegerArray) else x


def _plain(x: Any) -> IntegerArray:
    exact = IntegerArray.of(x)
    return IntegerArray(exact.integers, exact.fraction)


def _products(equation: str, a: Any, b: Any) -> Iterator[IntegerArray]:
    """The terms of a contraction in order: one for each index of the summed axes, of the shape of the output."""
    inputs, _, output = equation.partition("->")
    names = inputs.split(",")
    inner = [letter for letter in dict.fromkeys("".join(names)) if letter not in output]
    operands = [_plain(x) for x in (a, b)]
    sizes = {c: n for name, x in zip(names, operands, strict=True) for c, n in zip(name, x.shape, strict=True)}
    outer = ",".join("".join(c for c in name if c in output) for name in names)
    for index in np.ndindex(*(sizes[c] for c in inner)):
        at = dict(zip(inner, index, strict=True))
        parts: list[Any] = [
            x[tuple(at.get(c, slice(None)) for c in name)] for name, x in zip(names, operands, strict=True)
        ]
        yield np.einsum(f"{outer}->{output}", *parts)


def _terms(x: Any, axis: Any = None, *, keepdims: bool = False) -> Iterator[IntegerArray]:
    """The terms of a sum over axes in order."""
    exact = _plain(x)
    axes = range(exact.ndim) if axis is None else np.atleast_1d(axis)
    for index in np.ndindex(*(exact.shape[a] for a in axes)):
        at = dict(zip(axes, index, strict=True))
        key = (slice(at[a], at[a] + 1) if keepdims and a in at else at.get(a, slice(None)) for a in range(exact.ndim))
        yield exact[tuple(key)]
