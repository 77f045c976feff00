"""Small graphs with inputs: every operation, and the widths at which lowering goes wrong; for passes and targets.

`GRAPHS` maps a name to a function that builds the graph; `example` gives a graph and its inputs, the same every time.
All inputs are quantized by the graph itself, so that any float may enter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from hgq_core.conformance.cases_layers import CASES, CHAINS, case
from hgq_core.conformance.numpy_backend import NumpyModel, NumpyQuantizer
from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder
from hgq_core.graph import ops as op
from hgq_core.modes import Overflow, Round

__all__ = ["GRAPHS", "example"]

BATCH = 64
_EXACT = (Round.TRN, Overflow.WRAP)


class _Sketch:
    """A builder with the few lines that every example needs."""

    def __init__(self, name: str) -> None:
        self.builder = GraphBuilder()
        self.rng = np.random.default_rng(crc32(name.encode()))

    def data(
        self, *shape: int, widths: tuple[int, int, int] | None = None, modes: Any = (Round.RND, Overflow.WRAP)
    ) -> str:
        """An input of real numbers and its quantizer; random widths per element unless they are given."""
        x = self.builder.add(op.Input(shape))
        if widths is None:
            formats = Formats.of(
                self.rng.integers(0, 2, shape), self.rng.integers(0, 3, shape), self.rng.integers(-1, 4, shape)
            )
        else:
            formats = Formats.of(*(np.full(shape, part) for part in widths))
        return self.builder.add(op.Quantize(formats, *modes), x)

    def weights(self, *shape: int, bits: int = 4, fraction: int = 2) -> str:
        """Random constants with ``bits`` bits and some zeros."""
        top = 2**bits
        values = self.rng.integers(1 - top, top, shape) * (self.rng.uniform(size=shape) > 0.15)
        counted = np.where(values == 0, 0, bits)
        return self.builder.add(op.Constant.of(values * 2.0**-fraction, counted))

    def add(self, operation: op.Operation, *inputs: str) -> str:
        return self.builder.add(operation, *inputs)

    def quantize(self, x: str, k: Any, i: Any, f: Any, modes: Any = (Round.RND, Overflow.WRAP)) -> str:
        shape = self.builder.shape(x)
        return self.add(op.Quantize(Formats.of(k, i, f).broadcast_to(shape), *modes), x)


def _rounding(round_mode: Round, overflow_mode: Overflow) -> Callable[[_Sketch], str]:
    def build(s: _Sketch) -> str:
        fine = s.data(6, widths=(1, 4, 6), modes=_EXACT)
        k, i, f = np.array([[1, 2, 2], [0, 2, 3], [1, -1, 4], [1, 4, -2], [1, 0, 0], [1, 1, -3]]).T
        return s.quantize(fine, k, i, f, (round_mode, overflow_mode))

    return build


def _dense(s: _Sketch) -> str:
    y = s.add(op.Contract("bi,io->bo"), s.data(5), s.weights(5, 4))
    return s.quantize(s.add(op.Relu(), s.add(op.Add(), y, s.weights(4))), 0, 4, 2)


def _data_by_data(s: _Sketch) -> str:
    return s.add(op.Contract("bij,bjk->bik"), s.data(2, 3), s.data(3, 2))


def _wide_accumulator(s: _Sketch) -> str:
    x = s.data(16, widths=(1, 11, 11))
    y = s.add(op.Contract("bi,io->bo"), x, s.weights(16, 2, bits=20, fraction=10))
    return s.quantize(y, 1, 3, 4, (Round.RND_CONV, Overflow.SAT_SYM))


def _convolution(s: _Sketch) -> str:
    operation = op.Convolve((2, 1), ((1, 1), (0, 1)), (1, 2), groups=2)
    return s.add(operation, s.data(5, 6, 4), s.weights(3, 2, 2, 4))


def _transposed_convolution(s: _Sketch) -> str:
    return s.add(op.Convolve((2,), ((1, 0),), (1,), transposed=True), s.data(4, 2), s.weights(3, 2, 3))


def _transposed_groups(s: _Sketch) -> str:
    operation = op.Convolve((2, 3), ((1, 2), (0, 1)), (2, 1), groups=2, transposed=True)
    return s.add(operation, s.data(3, 2, 4), s.weights(3, 2, 2, 2))


def _pools(s: _Sketch) -> str:
    x = s.data(5, 4, 2)
    pools = (op.Pool("max", (3, 2), (2, 2), ((1, 1), (0, 0))), op.Pool("sum", (3, 2), (2, 2), ((1, 1), (0, 0))))
    return s.add(op.Subtract(), *(s.add(pool, x) for pool in pools))


def _elementwise(s: _Sketch) -> str:
    a, b, c = s.data(3, 4), s.data(3, 4), s.data(4)
    product = s.add(op.Multiply(), a, b)
    largest = s.add(op.Maximum(), a, b, s.add(op.Negate(), c))
    smallest = s.add(op.Minimum(), product, largest)
    return s.add(op.Add(), s.add(op.Subtract(), product, smallest), c, s.weights(3, 1))


def _comparisons(s: _Sketch) -> str:
    a, b = s.data(5), s.data(5)
    parts = [s.add(op.Select(), s.add(op.Compare(kind), a, b), a, b) for kind in ("<", "<=", ">=", ">")]
    parts.append(s.add(op.Compare("=="), a, b))
    return s.add(op.Clip(-1.5, 2.25), s.add(op.Concatenate(0), *parts))


def _moves(s: _Sketch) -> str:
    x = s.add(op.Transpose((1, 0)), s.data(3, 4))
    x = s.add(op.Pad(((1, 0), (0, 2))), s.add(op.Reshape((6, 2)), x))
    x = s.add(op.Slice((0, 1), (7, 4), (2, 1)), x)
    x = s.add(op.Gather(np.array([3, 0, 0, 2]), 0), x)
    x = s.add(op.Repeat(2, 1), x)
    return s.add(op.Add(), x, s.add(op.Broadcast((4, 6)), s.data(1, 6)))


def _reductions(s: _Sketch) -> str:
    x = s.data(3, 4)
    total = s.add(op.Reduce("sum", (1,), keepdims=True), x)
    low, high = (s.add(op.Reduce(kind, (0,)), x) for kind in ("min", "max"))
    return s.add(op.Add(), total, low, high)


def _lookup(s: _Sketch) -> str:
    k, i, f = np.array([1, 0, 1, 1]), np.array([1, 2, 0, 0]), np.array([2, 1, 0, 0])
    x = s.quantize(s.data(4, widths=(1, 3, 4), modes=_EXACT), k, i, f, (Round.RND, Overflow.SAT))
    tables = tuple(s.rng.integers(-8, 8, n) for n in (16, 8, 2))
    return s.add(op.Lookup(Formats.of(k, i, f), tables, 3, np.array([0, 1, 2, 2]), np.array([3, 3, 3, 3])), x)


def _dead(s: _Sketch) -> str:
    """Elements of width 0 and of negative width between live ones, also at the output."""
    x = s.quantize(s.data(4, widths=(1, 3, 3), modes=_EXACT), [1, 0, 1, 1], [2, 0, -4, 3], [1, 0, 2, -5])
    y = s.add(op.Contract("bi,io->bo"), x, s.weights(4, 3))
    return s.quantize(y, [1, 0, 1], [4, -2, 3], [2, 1, 1])


def _all_dead(s: _Sketch) -> str:
    return s.add(op.Contract("bi,io->bo"), s.quantize(s.data(3, widths=(1, 2, 2)), 0, 0, 0), s.weights(3, 2))


def _constant_output(s: _Sketch) -> str:
    return s.add(op.Add(), s.add(op.Multiply(), s.data(3), s.add(op.Constant.of(np.zeros(3)))), s.weights(3))


def _scan(s: _Sketch) -> str:
    body = _Sketch("scan-body")
    x = body.add(op.Input((2,), Formats.of(1, [2, 2], [2, 2])))
    state = body.add(op.Input((3,), Formats.of(1, [2, 2, 2], [3, 3, 3])))
    mixed = body.add(op.Contract("bi,io->bo"), state, body.weights(3, 3, bits=2))
    mixed = body.add(op.Add(), mixed, body.add(op.Contract("bi,io->bo"), x, body.weights(2, 3, bits=2)))
    new = body.quantize(mixed, 1, 2, 3, (Round.RND, Overflow.SAT))
    inner = body.builder.build([new, new])
    sequence = s.data(4, 2, widths=(1, 2, 2))
    return s.add(op.Scan(inner, 4), sequence, s.data(3, widths=(1, 2, 3)))


_SKETCHES: dict[str, Callable[[_Sketch], str]] = {
    **{f"quantize-{r}-{o}".lower(): _rounding(r, o) for r in Round for o in Overflow},
    "dense": _dense,
    "data-by-data": _data_by_data,
    "wide-accumulator": _wide_accumulator,
    "convolution": _convolution,
    "transposed-convolution": _transposed_convolution,
    "transposed-groups": _transposed_groups,
    "pools": _pools,
    "elementwise": _elementwise,
    "comparisons": _comparisons,
    "moves": _moves,
    "reductions": _reductions,
    "lookup": _lookup,
    "dead": _dead,
    "all-dead": _all_dead,
    "constant-output": _constant_output,
    "scan": _scan,
}


def _sketched(name: str) -> Graph:
    sketch = _Sketch(name)
    return sketch.builder.build([_SKETCHES[name](sketch)])


def _layered(name: str) -> Graph:
    chosen = case(name)
    return NumpyModel(chosen.layers, chosen.input_shape, NumpyQuantizer).to_graph()


GRAPHS: dict[str, Callable[[], Graph]] = {
    **{name: partial(_sketched, name) for name in _SKETCHES},
    **{f"layer-{name}": partial(_layered, name) for name in (*CASES, *CHAINS)},
}
"""What builds each graph, by its name; those of the table of layers begin with ``layer-``."""


@cache
def example(name: str) -> tuple[Graph, tuple[NDArray[np.float64], ...]]:
    """The graph of this name and a batch for each of its inputs: fine steps, ties, and values beyond every format."""
    graph = GRAPHS[name]()
    rng = np.random.default_rng(crc32(name.encode()) + 1)
    return graph, tuple(rng.integers(-1500, 1501, (BATCH, *node.shape)) / 128 for node in graph.inputs)
