"""Random small graphs over every operation, for laws that hold for all of them."""

from __future__ import annotations

from math import prod

import numpy as np
from hw_graphs import weights

from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder, prove
from hgq_core.graph.ops import (
    Add,
    Broadcast,
    Clip,
    Compare,
    Concatenate,
    Constant,
    Contract,
    Convolve,
    Gather,
    Input,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Negate,
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

SHAPES = [(4,), (3,), (2, 3), (4, 4, 1), (3, 3, 2), (5, 2)]


def random_formats(rng, shape, dead=0.15):
    k, i, f = rng.integers(0, 2, shape), rng.integers(-1, 4, shape), rng.integers(-1, 4, shape)
    gone = rng.random(shape) < dead
    return Formats.of(np.where(gone, 0, k), np.where(gone, -3, np.maximum(i, 1 - k - f)), np.where(gone, 1, f))


def quantize(rng, builder, x, dead=0.15):
    shape = builder.shape(x) if rng.random() < 0.7 else ()
    op = Quantize(random_formats(rng, shape, dead), rng.choice(list(Round)), rng.choice(list(Overflow)))
    return builder.add(op, x, label="quantizer")


def constant(rng, builder, shape):
    if rng.random() < 0.3:
        shape = shape[-1:]
    return builder.add(Constant.of(weights(rng, shape)), label="constant")


def _unary(rng, builder, x):
    shape = builder.shape(x)
    axes = tuple(int(a) for a in np.flatnonzero(rng.random(len(shape)) < 0.5)) or (0,)
    options = [
        lambda: builder.add(Relu(), x),
        lambda: builder.add(Negate(), x),
        lambda: builder.add(Clip(-1.5, 2.25), x),
        lambda: builder.add(Multiply(), x, constant(rng, builder, shape)),
        lambda: builder.add(Multiply(), constant(rng, builder, shape), x),
        lambda: builder.add(Add(), x, constant(rng, builder, shape)),
        lambda: builder.add(Subtract(), x, constant(rng, builder, shape)),
        lambda: builder.add(Subtract(), constant(rng, builder, shape), x),
        lambda: builder.add(Maximum(), x, constant(rng, builder, shape)),
        lambda: builder.add(Reshape((prod(shape),)), x),
        lambda: builder.add(Transpose(tuple(int(a) for a in rng.permutation(len(shape)))), x),
        lambda: builder.add(Pad(tuple((int(rng.integers(0, 2)), 0) for _ in shape)), x),
        lambda: builder.add(Slice((0,) * len(shape), shape, (int(rng.integers(1, 3)),) * len(shape)), x),
        lambda: builder.add(Repeat(int(rng.integers(1, 3)), len(shape) - 1), x),
        lambda: builder.add(Gather(rng.integers(0, shape[0], 3), 0), x),
        lambda: builder.add(Broadcast((2, *shape)), x),
        lambda: builder.add(Reduce(str(rng.choice(["sum", "max", "min"])), axes, keepdims=True), x),
        lambda: _dense(rng, builder, x),
        lambda: _dense(rng, builder, x),
        lambda: _convolve(rng, builder, x),
        lambda: _pool(rng, builder, x),
        lambda: _lookup(rng, builder, x),
        lambda: _scan(rng, builder, x),
    ]
    return options[rng.integers(len(options))]()


def _dense(rng, builder, x):
    shape = builder.shape(x)
    letters = "bcdefgh"[: len(shape) + 1]
    kernel = builder.add(Constant.of(weights(rng, (shape[-1], 3))), label="dense")
    y = builder.add(Contract(f"{letters},{letters[-1]}o->{letters[:-1]}o"), x, kernel, label="dense")
    if rng.random() < 0.5:
        y = builder.add(Multiply(), y, builder.add(Constant.of(weights(rng, (3,), sparse=0)), label="bn"), label="bn")
    return y


def _convolve(rng, builder, x):
    shape = builder.shape(x)
    if len(shape) != 3 or min(shape[:2]) < 2:
        return _dense(rng, builder, x)
    kernel = builder.add(Constant.of(weights(rng, (2, 2, shape[-1], 2))), label="conv")
    y = builder.add(Convolve((1, 1), ((1, 0), (0, 0)), (1, 1)), x, kernel, label="conv")
    return builder.add(Multiply(), y, builder.add(Constant.of(weights(rng, (2,), sparse=0)), label="bn"), label="bn")


def _pool(rng, builder, x):
    shape = builder.shape(x)
    if len(shape) != 3 or min(shape[:2]) < 2:
        return builder.add(Relu(), x)
    return builder.add(Pool(str(rng.choice(["max", "sum"])), (2, 2), (2, 2), ((0, 1), (0, 1))), x, label="pool")


def _lookup(rng, builder, x):
    x = builder.add(Quantize(Formats.of(1, 1, 2), Round.RND, Overflow.SAT), x, label="table")
    shape = builder.shape(x)
    tables = tuple(rng.integers(-20, 20, 16) for _ in range(2))
    formats = Formats.of(1, 1, 2).broadcast_to(shape)
    return builder.add(Lookup(formats, tables, 2, rng.integers(0, 2, shape)), x, label="table")


def _scan(rng, builder, x):
    shape = builder.shape(x)
    state_shape = shape[1:]
    body = GraphBuilder()
    step = body.add(Input(state_shape, Formats.of(1, 6, 6)))
    state = body.add(Input(state_shape, Formats.of(1, 2, 2)))
    total = body.add(Quantize(Formats.of(1, 2, 2), Round.RND, Overflow.SAT), body.add(Add(), step, state))
    start = builder.add(Constant.of(np.zeros(state_shape)))
    start = builder.add(Broadcast(state_shape), builder.add(Reduce("max", (0,)), x)) if rng.random() < 0.5 else None
    start = start or builder.add(Multiply(), builder.add(Reduce("max", (0,)), x), builder.add(Constant.of(0.0)))
    return builder.add(Scan(body.build([total, total]), shape[0], bool(rng.integers(0, 2))), x, start, label="scan")


def _binary(rng, builder, x, y):
    if builder.shape(x) != builder.shape(y):
        if builder.shape(x)[1:] == builder.shape(y)[1:]:
            return builder.add(Concatenate(0), x, y)
        return builder.add(Relu(), x)
    options = [
        lambda: builder.add(Add(), x, y),
        lambda: builder.add(Subtract(), x, y),
        lambda: builder.add(Multiply(), x, y),
        lambda: builder.add(Maximum(), x, y),
        lambda: builder.add(Minimum(), x, y),
        lambda: builder.add(Concatenate(0), x, y),
        lambda: builder.add(Compare(str(rng.choice(["<", "<=", "==", ">=", ">"]))), x, y),
        lambda: builder.add(Select(), builder.add(Compare(">"), x, y), x, y),
    ]
    return options[rng.integers(len(options))]()


def random_graph(seed: int, *, operations: int = 6) -> Graph:
    """A graph of about ``operations`` operations; one or two inputs, unquantized or not; formats with dead elements."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder()
    tensors = []
    for _ in range(rng.integers(1, 3)):
        shape = SHAPES[rng.integers(len(SHAPES))]
        if rng.random() < 0.5:
            tensors.append(builder.add(Input(shape, random_formats(rng, shape)), name="x"))
        else:
            x = builder.add(Input(shape), name="x")
            if rng.random() < 0.3:
                x = builder.add(Relu(), x)
            tensors.append(quantize(rng, builder, x))
    for _ in range(operations):
        x, y = (tensors[-1 - min(int(rng.geometric(0.6)) - 1, len(tensors) - 1)] for _ in range(2))
        tensors.append(_binary(rng, builder, x, y) if rng.random() < 0.25 else _unary(rng, builder, x))
        if rng.random() < 0.4 or prove(builder.build([tensors[-1]])).formats[tensors[-1]].width.max(initial=0) > 16:
            tensors.append(quantize(rng, builder, tensors[-1]))
    outputs = [tensors[-1]] if rng.random() < 0.7 else [tensors[-1], tensors[len(tensors) // 2]]
    return builder.build(list(dict.fromkeys(outputs)))
