"""Normalisation of each example by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.drawn import (
    LayerCase,
    data_spec,
    data_widths,
    numbers,
    per_tensor,
    tensors,
    weight_spec,
    weight_widths,
)
from hgq_core.layers import Declaration, LayerNormalization
from hgq_core.modes import Overflow, Round
from hgq_core.spec import KBI, KIF, Spec

__all__ = ["CASES", "KINDS"]

SATURATING = (Round.RND, Overflow.SAT)


def _drawn(
    rng: np.random.Generator, kind: str, shape: tuple[int, ...], weights: tuple[int, ...], **options: Any
) -> LayerCase:
    options = {"axes": (-1,), "epsilon": 0.01, **options}
    specs: dict[str, Spec] = {"iq": data_spec(SATURATING), "nq": data_spec(SATURATING)}
    widths: dict[str, Any] = {"iq": data_widths(rng, shape), "nq": data_widths(rng, shape)}
    if kind == "layer_norm":
        own = {axis % len(shape) for axis in options["axes"]}
        rows = tuple(1 if axis in own else n for axis, n in enumerate(shape))
        specs["mq"], widths["mq"] = data_spec(SATURATING), data_widths(rng, rows)
        specs["cq"], widths["cq"] = data_spec(SATURATING), data_widths(rng, shape)
    specs["inv/iq"] = KIF(round_mode=Round.RND, overflow_mode=Overflow.SAT, **per_tensor())
    widths["inv/iq"] = {"k": 0, "i": 5, "f": 2}
    specs["inv/oq"] = KBI(
        round_mode=Round.RND_CONV, overflow_mode=Overflow.SAT, i_decay_speed=inf, k0=0, **per_tensor()
    )
    widths["inv/oq"] = {"k": 0, "b": 7, "i": 2}
    given = {"ln_gamma": numbers(rng, *weights)}
    specs["kq"], widths["kq"] = weight_spec(), weight_widths(rng, given["ln_gamma"])
    if kind == "layer_norm":
        given["ln_beta"] = numbers(rng, *weights)
        specs["bq"], widths["bq"] = weight_spec(is_bias=True), weight_widths(rng, given["ln_beta"], is_bias=True)
    return LayerCase((Layer(kind, options, specs, given, widths),), shape, tensors(rng, 1, shape))


CASES: dict[str, Callable[[np.random.Generator], LayerCase]] = {
    "layer-norm": partial(_drawn, kind="layer_norm", shape=(4,), weights=(4,)),
    "layer-norm-rows": partial(_drawn, kind="layer_norm", shape=(3, 2), weights=(2,)),
    "layer-norm-two-axes": partial(_drawn, kind="layer_norm", shape=(2, 4), weights=(2, 4), axes=(0, 1)),
    "rms-norm": partial(_drawn, kind="rms_norm", shape=(5,), weights=(5,)),
    "rms-norm-rows": partial(_drawn, kind="rms_norm", shape=(2, 3), weights=(3,)),
}


def _declared(layer: Layer) -> Declaration:
    mean = layer.kind == "layer_norm"
    return LayerNormalization(layer.options["axes"], layer.options["epsilon"], mean, center=mean)


KINDS: dict[str, Callable[[Layer], Declaration]] = {"layer_norm": _declared, "rms_norm": _declared}
