"""Small graphs, built by hand, on which hardware is verified."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder
from hgq_core.graph.ops import (
    Add,
    Constant,
    Contract,
    Convolve,
    Input,
    Lookup,
    Multiply,
    Pool,
    Quantize,
    Reduce,
    Relu,
    Reshape,
    Subtract,
)
from hgq_core.modes import Overflow, Round


def weights(rng, shape, step=0.25, sparse=0.2):
    values = np.round(rng.normal(size=shape) / step) * step
    return np.where(rng.random(shape) < sparse, 0.0, values)


def formats(rng, shape, *, k=1, i=(0, 3), f=(0, 4)):
    return Formats.of(k, rng.integers(*i, size=shape, endpoint=True), rng.integers(*f, size=shape, endpoint=True))


def dense(sizes=(6, 8, 3), *, seed=0, round_mode=Round.RND, overflow=Overflow.WRAP, batch_norm=False) -> Graph:
    """Layers of quantizer, kernel, bias and relu; heterogeneous formats."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder()
    x = builder.add(Input((sizes[0],)), name="x")
    for number, (n_in, n_out) in enumerate(pairwise(sizes)):
        label = f"dense_{number}"
        k = 1 if number == 0 else 0
        x = builder.add(Quantize(formats(rng, (n_in,), k=k), round_mode, overflow), x, label=label)
        kernel = builder.add(Constant.of(weights(rng, (n_in, n_out)), np.full((n_in, n_out), 4)), label=label)
        x = builder.add(Contract("bi,io->bo"), x, kernel, label=label)
        x = builder.add(Add(), x, builder.add(Constant.of(weights(rng, (n_out,))), label=label), label=label)
        if batch_norm:
            x = builder.add(
                Multiply(), x, builder.add(Constant.of(weights(rng, (n_out,), sparse=0)), label="bn"), label="bn"
            )
            x = builder.add(Add(), x, builder.add(Constant.of(weights(rng, (n_out,))), label="bn"), label="bn")
        if number < len(sizes) - 2:
            x = builder.add(Relu(), x, label=label)
    x = builder.add(Quantize(formats(rng, (sizes[-1],), i=(3, 5), f=(1, 3)), round_mode, overflow), x, label="out")
    return builder.build([x])


def convolutional(*, seed=0, size=6, channels=3, classes=4) -> Graph:
    """Quantizer, 3x3 convolution, relu, 2x2 maximum, flatten, dense."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder()
    x = builder.add(Input((size, size, 1)), name="image")
    x = builder.add(
        Quantize(Formats.of(0, 0, rng.integers(1, 4, (size, size, 1))), Round.RND, Overflow.SAT), x, label="conv"
    )
    kernel = weights(rng, (3, 3, 1, channels))
    x = builder.add(
        Convolve((1, 1), ((0, 0), (0, 0)), (1, 1)), x, builder.add(Constant.of(kernel, 4), label="conv"), label="conv"
    )
    x = builder.add(
        Relu(),
        builder.add(Add(), x, builder.add(Constant.of(weights(rng, (channels,)), 3), label="conv")),
        label="conv",
    )
    x = builder.add(Pool("max", (2, 2), (2, 2), ((0, 0), (0, 0))), x, label="pool")
    x = builder.add(Reshape((((size - 2) // 2) ** 2 * channels,)), x, label="flatten")
    n = builder.shape(x)[0]
    x = builder.add(Quantize(formats(rng, (n,), k=0, i=(-1, 2), f=(0, 3)), Round.TRN, Overflow.WRAP), x, label="dense")
    x = builder.add(
        Contract("bi,io->bo"),
        x,
        builder.add(Constant.of(weights(rng, (n, classes), sparse=0.5), 4), label="dense"),
        label="dense",
    )
    x = builder.add(
        Quantize(formats(rng, (classes,), i=(3, 5), f=(1, 3)), Round.RND_CONV, Overflow.SAT_SYM), x, label="out"
    )
    return builder.build([x])


def merged(*, seed=0) -> Graph:
    """Two branches of different formats, added and saturated, then a table."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder()
    x = builder.add(Input((4,)), name="x")
    a = builder.add(Quantize(formats(rng, (4,)), Round.RND_CONV, Overflow.SAT_SYM), x, label="left")
    b = builder.add(Quantize(formats(rng, (4,)), Round.TRN_ZERO, Overflow.SAT), x, label="right")
    y = builder.add(Add(), a, b, label="add")
    y = builder.add(Quantize(Formats.of(1, 2, 2), Round.RND, Overflow.SAT), y, label="table")
    tables = tuple(rng.integers(-40, 40, 32) for _ in range(2))
    shape = builder.shape(y)
    y = builder.add(
        Lookup(Formats.of(1, 2, 2).broadcast_to(shape), tables, 3, rng.integers(0, 2, shape)), y, label="table"
    )
    return builder.build([y])


def table(function, source, target, shape, groups=None):
    """The Lookup of ``function``, rounded and limited to ``target``, on every number of the unsigned ``source``.

    ``source`` and ``target`` are ``(i, f)``; with ``groups``, one table more for each element's group, with less range.
    """
    groups = np.zeros(shape, dtype=np.int64) if groups is None else groups
    x = np.arange(2 ** sum(source)) / 2 ** source[1]
    with np.errstate(divide="ignore"):
        units = np.minimum(np.rint(function(x) * 2.0 ** target[1]), 2 ** sum(target) - 1).astype(np.int64)
    tables = tuple(np.minimum(units, (2 ** sum(target) - 1) >> n) for n in range(groups.max() + 1))
    return Lookup(Formats.of(0, *source).broadcast_to(shape), tables, target[1], groups, np.full(shape, sum(target)))


def softmax(shape=(5,), axis=-1, *, seed=0, stable=True, heterogeneous=False) -> Graph:
    """Quantizer, kernel, bias, quantizer, then ``exp(x - max) / sum`` of two tables, as `hgq_core.layers` writes it."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder()
    x = builder.add(Input((*shape[:-1], 4)), name="x")
    x = builder.add(Quantize(Formats.of(1, 1, 3), Round.RND, Overflow.WRAP), x, label="dense")
    letters = "mno"[: len(shape) - 1]
    kernel = builder.add(Constant.of(weights(rng, (4, shape[-1])), 4), label="dense")
    x = builder.add(Contract(f"b{letters}i,iu->b{letters}u"), x, kernel, label="dense")
    x = builder.add(Add(), x, builder.add(Constant.of(weights(rng, shape[-1:])), label="dense"), label="dense")
    widths = formats(rng, shape, i=(2, 3), f=(0, 2)) if heterogeneous else Formats.of(1, 2, 2)
    x = builder.add(Quantize(widths, Round.RND_CONV, Overflow.SAT), x, label="dense")

    def add(op, *inputs):
        return builder.add(op, *inputs, label="softmax", composite="softmax")

    groups = rng.integers(0, 2, shape) if heterogeneous else None
    if stable:
        x = add(Subtract(), add(Reduce("max", (axis % len(shape),), keepdims=True), x), x)
    x = add(Quantize(Formats.of(0, 2, 3), Round.RND, Overflow.SAT), x)
    e = add(table(lambda v: np.exp(-v if stable else v / 4), (2, 3), (1, 6), shape, groups), x)
    total = add(Reduce("sum", (axis % len(shape),), keepdims=True), e)
    total = add(Quantize(Formats.of(0, 3, 3), Round.RND, Overflow.SAT), total)
    r = add(table(lambda v: 1 / v, (3, 3), (1, 5), builder.shape(total)), total)
    return builder.build([add(Multiply(), e, r)])
