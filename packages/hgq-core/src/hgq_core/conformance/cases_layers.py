"""The table of layers: small shapes, widths that differ from element to element, and inputs that wrap and saturate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from math import inf
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hgq_core.conformance import families
from hgq_core.conformance.backend import Layer
from hgq_core.conformance.drawn import (
    WEIGHT_MODES,
    LayerCase,
    Modes,
    data_spec,
    data_widths,
    generator,
    numbers,
    per_tensor,
    tensors,
    weight_spec,
    weight_widths,
)
from hgq_core.modes import Overflow, Round
from hgq_core.spec import KBI, KIF, Spec

__all__ = ["CASES", "NAMES", "LayerCase", "case", "cases"]

CASES: dict[str, dict[str, Any]] = {
    "dense": {"kind": "dense", "shape": (5,), "units": 4},
    "dense-relu": {"kind": "dense", "shape": (5,), "units": 4, "activation": "relu"},
    "dense-no-bias": {"kind": "dense", "shape": (5,), "units": 3, "bias": False},
    "dense-rows": {"kind": "dense", "shape": (3, 4), "units": 3},
    "dense-rows-pf": {"kind": "dense", "shape": (4, 4), "units": 3, "parallelization_factor": 2},
    "dense-two-axes-of-rows": {"kind": "dense", "shape": (2, 3, 4), "units": 2, "parallelization_factor": 3},
    "dense-output": {"kind": "dense", "shape": (5,), "units": 4, "oq": (Round.RND_CONV, Overflow.SAT)},
    "dense-saturating-input": {"kind": "dense", "shape": (5,), "units": 4, "iq": (Round.RND_CONV, Overflow.SAT)},
    "dense-symmetric-input": {"kind": "dense", "shape": (5,), "units": 4, "iq": (Round.TRN, Overflow.SAT_SYM)},
    "dense-shared-widths": {"kind": "dense", "shape": (3, 4), "units": 3, "shared": True},
    "dense-wrapping-kernel": {"kind": "dense", "shape": (5,), "units": 4, "kq": (Round.RND, Overflow.WRAP)},
    "dense-truncating-kernel": {"kind": "dense", "shape": (5,), "units": 4, "kq": (Round.TRN_ZERO, Overflow.SAT)},
    "einsum-dense": {
        "kind": "einsum_dense", "shape": (3, 4), "equation": "abc,cd->abd", "output_shape": (3, 2), "bias_axes": "d",
    },
    "einsum-dense-two-axes": {
        "kind": "einsum_dense", "shape": (3, 4), "equation": "abc,bcde->ade", "output_shape": (2, 3), "bias_axes": "de",
    },
    "einsum-dense-transposing": {
        "kind": "einsum_dense", "shape": (3, 4), "equation": "abc,bd->adc", "output_shape": (2, 4), "bias_axes": "d",
    },
    "einsum-dense-pf": {
        "kind": "einsum_dense", "shape": (4, 3), "equation": "abc,cd->abd", "output_shape": (4, 2), "bias_axes": "d",
        "parallelization_factor": 2,
    },
    "einsum-dense-no-bias": {
        "kind": "einsum_dense", "shape": (3, 4), "equation": "abc,bcd->abd", "output_shape": (3, 2), "bias": False,
    },
    "conv1d": {"kind": "conv1d", "shape": (6, 2), "filters": 3, "kernel_size": (3,)},
    "conv1d-same": {"kind": "conv1d", "shape": (5, 2), "filters": 2, "kernel_size": (4,), "padding": "same"},
    "conv1d-causal": {
        "kind": "conv1d", "shape": (6, 2), "filters": 2, "kernel_size": (3,), "padding": "causal", "dilation_rate": 2,
    },
    "conv1d-strided-pf": {
        "kind": "conv1d", "shape": (9, 2), "filters": 2, "kernel_size": (3,), "strides": 2, "parallelization_factor": 2,
    },
    "conv1d-groups": {"kind": "conv1d", "shape": (5, 4), "filters": 4, "kernel_size": (2,), "groups": 2},
    "conv1d-one": {"kind": "conv1d", "shape": (4, 3), "filters": 2, "kernel_size": (1,)},
    "conv2d": {"kind": "conv2d", "shape": (4, 4, 2), "filters": 3, "kernel_size": (3, 3), "activation": "relu"},
    "conv2d-same": {"kind": "conv2d", "shape": (4, 3, 2), "filters": 2, "kernel_size": (3, 2), "padding": "same"},
    "conv2d-same-strided": {
        "kind": "conv2d", "shape": (5, 4, 1), "filters": 2, "kernel_size": (3, 3), "padding": "same", "strides": (2, 2),
    },
    "conv2d-dilated": {
        "kind": "conv2d", "shape": (5, 5, 1), "filters": 2, "kernel_size": (2, 2), "dilation_rate": (2, 2),
    },
    "conv2d-groups": {"kind": "conv2d", "shape": (3, 3, 4), "filters": 2, "kernel_size": (2, 2), "groups": 2},
    "conv2d-shared-pf": {
        "kind": "conv2d", "shape": (4, 4, 2), "filters": 2, "kernel_size": (2, 2), "shared": True,
        "parallelization_factor": 3,
    },
    "batch-norm": {"kind": "batch_norm", "shape": (4,), "epsilon": 0.25},
    "batch-norm-image": {"kind": "batch_norm", "shape": (3, 2, 2), "epsilon": 0.25},
    "max-pool": {"kind": "max_pool2d", "shape": (4, 4, 2), "pool_size": (2, 2)},
    "max-pool-overlapping": {"kind": "max_pool2d", "shape": (5, 5, 1), "pool_size": (3, 3), "strides": (2, 2)},
    "max-pool-same": {"kind": "max_pool2d", "shape": (3, 5, 2), "pool_size": (2, 2), "padding": "same"},
    "average-pool": {"kind": "average_pool2d", "shape": (4, 4, 2), "pool_size": (2, 2)},
    "average-pool-same": {"kind": "average_pool2d", "shape": (3, 3, 2), "pool_size": (2, 2), "padding": "same"},
    "average-pool-output": {
        "kind": "average_pool2d", "shape": (4, 6, 1), "pool_size": (2, 2), "oq": (Round.RND, Overflow.SAT),
    },
    "add": {"kind": "add", "shape": (3, 4)},
    "add-relu": {"kind": "add", "shape": (3, 4), "activation": "relu", "iq": (Round.RND, Overflow.SAT)},
    "lookup-tanh": {"kind": "unary_lut", "shape": (3, 2), "function": "tanh", "oq": (Round.RND, Overflow.SAT_SYM)},
    "lookup-sigmoid": {"kind": "unary_lut", "shape": (4,), "function": "sigmoid", "oq": (Round.TRN, Overflow.SAT)},
    "lookup-affine": {
        "kind": "unary_lut", "shape": (4,), "function": "tanh", "oq": (Round.RND, Overflow.SAT), "affine": True,
    },
    "softmax": {"kind": "softmax", "shape": (5,)},
    "softmax-rows-pf": {"kind": "softmax", "shape": (3, 4), "parallelization_factor": 1, "input_scaler": 0.5},
    "softmax-output": {"kind": "softmax", "shape": (4,), "oq": (Round.RND, Overflow.SAT)},
    "softmax-fast": {"kind": "softmax", "shape": (4,), "stable": False},
}  # fmt: skip
"""Arguments of `case` by id. Quantizers are ``(round, overflow)``; ``shared``: one input width for the whole tensor."""

CHAINS: dict[str, tuple[str, ...]] = {
    "chain-dense-dense": ("dense-relu", "dense-no-bias:4"),
    "chain-conv-pool-flatten-dense": ("conv2d", "max-pool:2,2,3", "flatten:1,1,3", "dense:3"),
}
"""Chains of cases, each ``case:input shape``; a chain's data is that of its first layer."""


def _weights(kind: str, shape: tuple[int, ...], options: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The weights of a kind; none of batch_norm's is near a tie."""
    draw = partial(numbers, rng)
    if kind == "dense":
        return {"kernel": draw(shape[-1], options["units"]), "bias": draw(options["units"])}
    if kind == "einsum_dense":
        data, kernel, output = options["equation"].replace("->", ",").split(",")
        sizes = dict(zip(data[1:], shape, strict=True)) | dict(zip(output[1:], options["output_shape"], strict=True))
        weights = {"kernel": draw(*(sizes[c] for c in kernel))}
        axes = options.get("bias_axes", "")
        first = min((output.index(c) for c in axes), default=0)
        return weights | ({"bias": draw(*(sizes[c] if c in axes else 1 for c in output[first:]))} if axes else {})
    if kind in ("conv1d", "conv2d"):
        channels = shape[-1] // options.get("groups", 1)
        return {"kernel": draw(*options["kernel_size"], channels, options["filters"]), "bias": draw(options["filters"])}
    if options.pop("affine", False):
        return {"scale": np.full(1, 0.37, np.float32), "bias": np.full(1, -0.21, np.float32)}
    if kind == "batch_norm":
        channels = shape[-1]
        signs = np.where(np.arange(channels) % 2, -1.0, 1.0)
        scale = signs * rng.integers(3, 15, channels) / 8 + 0.03
        return {
            "gamma": (2.0 * scale).astype(np.float32),
            "beta": (rng.integers(-16, 17, channels) / 8 + 0.02).astype(np.float32),
            "moving_mean": np.zeros(channels, np.float32) + np.float32(0.25),
            "moving_variance": np.full(channels, 3.75, np.float32),
        }
    return {}


def _softmax_tables() -> list[tuple[str, Spec, dict[str, int]]]:
    """Quantizers of the tables of softmax: shared over the tensor, positive, saturating at their outputs."""
    data = KIF(round_mode=Round.RND, overflow_mode=Overflow.SAT, **per_tensor())
    table = KBI(round_mode=Round.RND_CONV, overflow_mode=Overflow.SAT, i_decay_speed=inf, k0=0, **per_tensor())
    return [
        ("exp/iq", data, {"k": 1, "i": 3, "f": 3}),
        ("exp/oq", table, {"k": 0, "b": 7, "i": 1}),
        ("inv/iq", data, {"k": 0, "i": 3, "f": 4}),
        ("inv/oq", table, {"k": 0, "b": 8, "i": 1}),
    ]


def _weight_widths(weights: dict[str, Any], modes: Modes, rng: np.random.Generator) -> dict[str, Any]:
    """Stored widths of ``kq`` and ``bq``."""
    if "scale" in weights:  # inside of a table, and not quantized
        return {}
    if "gamma" in weights:
        return {name: {"k": 1, "b": 6, "i": 3} for name in ("kq", "bq")}
    widths = {"kq": weight_widths(rng, weights["kernel"], modes)} if "kernel" in weights else {}
    return widths | ({"bq": weight_widths(rng, weights["bias"], is_bias=True)} if "bias" in weights else {})


@cache
def case(name: str) -> LayerCase:
    """The case of this id; the same arrays every time."""
    if name in GRAPHS:
        return GRAPHS[name]()
    if name in families.CASES:
        return families.CASES[name](generator(name))
    if name in CHAINS:
        return _chain(CHAINS[name])
    return _case(name, CASES[name], None)


def _case(name: str, arguments: dict[str, Any], shape: tuple[int, ...] | None) -> LayerCase:
    rng = generator(name)
    options = dict(arguments)
    kind, shape = options.pop("kind"), shape or options["shape"]
    del options["shape"]
    shared, bias = options.pop("shared", False), options.pop("bias", True)
    modes = {place: options.pop(place, default) for place, default in (
        ("iq", (Round.RND, Overflow.WRAP)), ("kq", WEIGHT_MODES), ("oq", None),
    )}  # fmt: skip
    weights = _weights(kind, shape, options, rng)
    if not bias:
        weights.pop("bias", None)
    quantizers: dict[str, Spec] = {"iq": data_spec(modes["iq"], shared=shared)}
    if "kernel" in weights or "gamma" in weights:
        quantizers["kq"] = weight_spec(modes["kq"])
        if "beta" in weights:
            quantizers["bq"] = KBI(round_mode=Round.RND, overflow_mode=Overflow.SAT_SYM, i_decay_speed=0.01)
        elif "bias" in weights:
            quantizers["bq"] = weight_spec(is_bias=True)
    widths = _weight_widths(weights, modes["kq"], rng)
    widths["iq"] = data_widths(rng, shape, shared=shared)
    if kind == "unary_lut":
        size = (1, *shape)
        widths["iq"] |= {"k": np.ones(size, int), "f": rng.integers(1, 4, size)}
    if modes["oq"]:
        quantizers["oq"] = data_spec(modes["oq"], shared=True)
        widths["oq"] = {"k": 1, "i": 1 if kind == "unary_lut" else 3, "f": 4 if kind == "unary_lut" else 2}
    if kind == "softmax":
        for slot, spec, stored in _softmax_tables():
            quantizers[slot], widths[slot] = spec, stored
    inputs = tensors(rng, 2 if kind == "add" else 1, shape)
    return LayerCase((Layer(kind, options, quantizers, weights, widths),), shape, inputs)


def _chain(parts: Sequence[str]) -> LayerCase:
    cases: list[LayerCase] = []
    for part in parts:
        name, _, text = part.partition(":")
        shape = tuple(int(n) for n in text.split(",")) if text else None
        if name == "flatten":
            cases.append(LayerCase((Layer("flatten"),), shape or (), ()))
        else:
            cases.append(_case(part, CASES[name], shape))
    return LayerCase(tuple(c.layers[0] for c in cases), cases[0].input_shape, cases[0].inputs)


def _joined(*layers: Layer, inputs: tuple[NDArray[np.float32], ...]) -> LayerCase:
    return LayerCase(layers, inputs[0].shape[1:], inputs)


def _two_branches() -> LayerCase:
    """Two layers that read the same input, and their sum."""
    one, other, add = case("dense-relu"), case("dense"), _case("branches", {"kind": "add", "shape": (4,)}, None)
    first, second = one.layers[0], replace(other.layers[0], inputs=(-1,))
    return _joined(first, second, replace(add.layers[0], inputs=(0, 1)), inputs=one.inputs)


def _two_inputs() -> LayerCase:
    """A layer for each of two inputs, and their sum."""
    branches = _two_branches()
    first, second, add = branches.layers
    return _joined(first, replace(second, inputs=(-2,)), add, inputs=(*branches.inputs, *case("dense").inputs))


def _shared() -> LayerCase:
    """One layer that is applied to two inputs: two circuits."""
    given = _two_inputs()
    first, _, add = given.layers
    return _joined(first, Layer("dense", again=0, inputs=(-2,)), add, inputs=given.inputs)


def _nested() -> LayerCase:
    """Two layers inside of a third."""
    parts = (case("dense-relu").layers[0], _case("dense-no-bias:4", CASES["dense-no-bias"], (4,)).layers[0])
    return _joined(Layer("nested", {"parts": parts}), inputs=case("dense-relu").inputs)


def _nested_twice() -> LayerCase:
    """A layer with a layer inside that has layers inside, before another one."""
    outer = Layer("nested", {"parts": _nested().layers})
    return _joined(outer, _case("dense:3", CASES["dense"], (3,)).layers[0], inputs=case("dense-relu").inputs)


GRAPHS: dict[str, Callable[[], LayerCase]] = {
    "graph-two-branches": _two_branches,
    "graph-two-inputs": _two_inputs,
    "graph-shared": _shared,
    "graph-nested": _nested,
    "graph-nested-twice": _nested_twice,
}
"""Cases whose layers are no chain, by id."""


NAMES: tuple[str, ...] = (*CASES, *CHAINS, *GRAPHS, *families.CASES)
"""The ids of all cases."""


def cases(*names: str) -> list[Any]:
    """Cases of the table by name, all if none is given, marked with the kinds of layers that they need."""
    names = names or NAMES
    return [
        pytest.param(name, marks=pytest.mark.kinds(*(la.kind for la in case(name).layers)), id=name) for name in names
    ]
