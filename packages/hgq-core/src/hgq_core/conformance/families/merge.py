"""Layers of several tensors, and sums over the axes of one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.drawn import (
    LayerCase,
    Modes,
    data_spec,
    data_widths,
    numbers,
    tensors,
    weight_spec,
    weight_widths,
)
from hgq_core.graph.ops import Maximum, Minimum, Multiply, Subtract
from hgq_core.layers import Average, Contraction, Declaration, Dot, Joined, Mean, Merge, Sum
from hgq_core.modes import Overflow, Round

__all__ = ["CASES", "KINDS"]

SATURATING: Modes = (Round.RND_CONV, Overflow.SAT)


def _drawn(
    rng: np.random.Generator,
    kind: str,
    shape: tuple[int, ...],
    *,
    count: int = 2,
    iq: Modes = (Round.RND, Overflow.WRAP),
    oq: Modes | None = None,
    shared: bool = False,
    **options: Any,
) -> LayerCase:
    """A layer of so many tensors of one shape; one quantizer serves all of them."""
    quantizers, widths = {"iq": data_spec(iq, shared=shared)}, {"iq": data_widths(rng, shape, shared=shared)}
    if oq:
        quantizers["oq"], widths["oq"] = data_spec(oq, shared=True), {"k": 1, "i": 3, "f": 2}
    operands = tuple(-1 - n for n in range(count))
    layer = Layer(kind, options, quantizers, {}, widths, inputs=operands)
    return LayerCase((layer,), shape, tensors(rng, count, shape))


def _dense(rng: np.random.Generator, rows: tuple[int, ...], entering: int, units: int) -> Layer:
    kernel = numbers(rng, entering, units)
    quantizers = {"iq": data_spec(), "kq": weight_spec()}
    widths = {"iq": data_widths(rng, (*rows, entering)), "kq": weight_widths(rng, kernel)}
    return Layer("dense", {"units": units}, quantizers, {"kernel": kernel}, widths)


def _deep_set(rng: np.random.Generator) -> LayerCase:
    """A layer on each element of a set, their sum, and a layer on it."""
    total = Layer("sum", {"axes": (0,), "scale": 0.5}, {"iq": data_spec()}, {}, {"iq": data_widths(rng, (4, 3))})
    layers = (_dense(rng, (4,), 2, 3), total, _dense(rng, (), 3, 2))
    return LayerCase(layers, (4, 2), tensors(rng, 1, (4, 2)))


def _case(kind: str, shape: tuple[int, ...], **given: Any) -> Callable[[np.random.Generator], LayerCase]:
    return partial(_drawn, kind=kind, shape=shape, **given)


CASES: dict[str, Callable[[np.random.Generator], LayerCase]] = {
    "add-three": _case("add", (3, 2), count=3),
    "subtract": _case("subtract", (3, 4)),
    "subtract-output": _case("subtract", (4,), oq=(Round.TRN, Overflow.SAT)),
    "multiply": _case("multiply", (3, 4)),
    "multiply-three": _case("multiply", (5,), count=3, iq=SATURATING),
    "maximum": _case("maximum", (3, 4)),
    "maximum-three": _case("maximum", (5,), count=3, iq=SATURATING),
    "minimum": _case("minimum", (3, 4)),
    "average": _case("average_pow2", (3, 4)),
    "average-three": _case("average_pow2", (4,), count=3),
    "minimum-three-shared": _case("minimum", (5,), count=3, shared=True),
    "average-six": _case("average_pow2", (3,), count=6, oq=(Round.RND, Overflow.SAT)),
    "concatenate": _case("concatenate", (2, 3), axis=1),
    "concatenate-first": _case("concatenate", (2, 3), axis=0, count=3),
    "dot": _case("dot", (4,), axes=(0, 0)),
    "dot-rows": _case("dot", (3, 4), axes=(1, 1)),
    "dot-first-axis": _case("dot", (2, 3), axes=(0, 0), iq=SATURATING),
    "einsum": _case("einsum", (3, 2), equation="bij,bkj->bik"),
    "einsum-elementwise": _case("einsum", (3, 2), equation="bij,bij->bi"),
    "einsum-outer": _case("einsum", (3,), equation="bi,bj->bji", oq=(Round.RND, Overflow.SAT)),
    "einsum-matrices": _case("einsum", (3, 3), equation="bij,bjk->bik"),
    "einsum-heads": _case("einsum", (2, 2, 3), equation="bqhd,bkhd->bhqk", iq=SATURATING),
    "einsum-alone": _case("einsum", (2, 3), equation="bij,bkl->bkj"),
    "einsum-transposed-shared": _case("einsum", (2, 3), equation="bij,bik->bkj", shared=True),
    "einsum-ellipsis": _case("einsum", (2, 3), equation="b...i, b...j -> b...ij"),
    "dot-matrices": _case("dot", (3, 3), axes=(1, 0)),
    "sum": _case("sum", (3, 4), count=1, axes=(1,)),
    "sum-scaled": _case("sum", (2, 3, 2), count=1, axes=(0, 1), scale=0.25, keepdims=True),
    "sum-all": _case("sum", (2, 3), count=1, axes=(0, 1), iq=SATURATING),
    "sum-from-both-ends": _case("sum", (2, 3, 2), count=1, axes=(0, -1)),
    "sum-larger-shared": _case("sum", (3, 4), count=1, axes=(1,), scale=4.0, shared=True),
    "sum-output": _case("sum", (3, 4), count=1, axes=(0,), oq=(Round.RND, Overflow.SAT)),
    "sum-deep-set": _deep_set,
    "mean-of-five": _case("mean_pow2", (5, 2), count=1, axes=(0,), iq=(Round.TRN, Overflow.SAT_SYM)),
    "mean-of-six": _case("mean_pow2", (3, 2, 2), count=1, axes=(0, 1), keepdims=True),
    "mean": _case("mean_pow2", (3, 4), count=1, axes=(1,)),
    "mean-three": _case("mean_pow2", (3, 2), count=1, axes=(0,), keepdims=True, oq=(Round.RND, Overflow.WRAP)),
}


def _sum(layer: Layer) -> Declaration:
    options = layer.options
    return Sum(options["axes"], options.get("scale", 1.0), options.get("keepdims", False))


KINDS: dict[str, Callable[[Layer], Declaration]] = {
    "subtract": lambda layer: Merge(Subtract()),
    "multiply": lambda layer: Merge(Multiply()),
    "maximum": lambda layer: Merge(Maximum()),
    "minimum": lambda layer: Merge(Minimum()),
    "average_pow2": lambda layer: Average(),
    "concatenate": lambda layer: Joined(layer.options["axis"]),
    "dot": lambda layer: Dot(layer.options["axes"]),
    "einsum": lambda layer: Contraction(layer.options["equation"]),
    "sum": _sum,
    "mean_pow2": lambda layer: Mean(layer.options["axes"], layer.options.get("keepdims", False)),
}
