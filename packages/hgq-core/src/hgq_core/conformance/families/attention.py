"""Masked softmax, and attention."""

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
from hgq_core.layers import Declaration, MultiHeadAttention, SequenceProjection
from hgq_core.modes import Overflow, Round
from hgq_core.spec import KBI, KIF, Spec

__all__ = ["CASES", "KINDS", "attention", "linformer", "softmax_tables"]

SATURATING = (Round.RND, Overflow.SAT)


def softmax_tables() -> dict[str, tuple[Spec, dict[str, int]]]:
    """Quantizers of the tables of softmax, and their widths: shared over the tensor, positive, saturating outputs."""
    data = KIF(round_mode=Round.RND, overflow_mode=Overflow.SAT, **per_tensor())
    table = KBI(round_mode=Round.RND_CONV, overflow_mode=Overflow.SAT, i_decay_speed=inf, k0=0, **per_tensor())
    return {
        "exp/iq": (data, {"k": 1, "i": 3, "f": 3}),
        "exp/oq": (table, {"k": 0, "b": 7, "i": 1}),
        "inv/iq": (data, {"k": 0, "i": 3, "f": 4}),
        "inv/oq": (table, {"k": 0, "b": 8, "i": 1}),
    }


def _softmax(rng: np.random.Generator, shape: tuple[int, ...], mask: Any, **options: Any) -> LayerCase:
    """A masked softmax whose input is quantized."""
    specs: dict[str, Spec] = {"iq": data_spec(SATURATING)}
    widths: dict[str, Any] = {"iq": data_widths(rng, shape)}
    for slot, (spec, stored) in softmax_tables().items():
        specs[slot], widths[slot] = spec, stored
    layer = Layer("softmax", {"mask": np.array(mask, bool), **options}, specs, {}, widths)
    return LayerCase((layer,), shape, tensors(rng, 1, shape))


def attention(
    rng: np.random.Generator,
    shape: tuple[int, ...] = (3, 2),
    count: int = 3,
    key: int = 2,
    value: int = 2,
    **options: Any,
) -> LayerCase:
    """Attention with widths of data per feature, per position too for the inputs, and shared tables."""
    heads, features, rank = 2, shape[-1], len(shape) - 1
    options = {"heads": heads, "key_dim": key, "value_dim": value, **options}
    attended = options.get("attention_axes", tuple(range(rank)))
    sizes = {"query": key, "key": key, "value": value}
    weights: dict[str, Any] = {f"{name}/kernel": numbers(rng, features, heads, n) / 2 for name, n in sizes.items()}
    weights |= {f"{name}/bias": numbers(rng, heads, sizes[name]) / 2 for name in ("query", "value")}
    weights |= {"output/kernel": numbers(rng, heads, value, features) / 2, "output/bias": numbers(rng, features)}
    fused = {"none": (), "kv": ("key",), "qkv": ("key", "query")}[options.get("fuse", "none")]
    specs: dict[str, Spec] = {}
    widths: dict[str, Any] = {}
    for name in ("query", "key", "value", "output"):
        if name not in fused:
            ends = (heads, value) if name == "output" else (features,)
            specs[f"{name}/iq"], widths[f"{name}/iq"] = data_spec(), data_widths(rng, (*shape[:-1], *ends))
        specs[f"{name}/kq"], kernel = weight_spec(), weights[f"{name}/kernel"]
        widths[f"{name}/kq"] = weight_widths(rng, kernel)
        if f"{name}/bias" in weights:
            specs[f"{name}/bq"] = weight_spec(is_bias=True)
            widths[f"{name}/bq"] = weight_widths(rng, weights[f"{name}/bias"], is_bias=True)
    shared = KIF(round_mode=Round.RND, overflow_mode=Overflow.SAT, homogeneous_axis=(0, *(n + 1 for n in attended)))
    for name, n in sizes.items():
        size = (1, *(1 if axis in attended else m for axis, m in enumerate(shape[:-1])), heads, n)
        specs[f"{name}/oq"] = shared
        widths[f"{name}/oq"] = {"k": 1, "i": rng.integers(1, 3, size), "f": rng.integers(0, 3, size)}
    for slot, spec, stored in (
        ("iq", data_spec(SATURATING, shared=True), {"k": 1, "i": 4, "f": 2}),
        ("oq", data_spec((Round.RND, Overflow.SAT), shared=True), {"k": 0, "i": 1, "f": 4}),
        *((slot, spec, stored) for slot, (spec, stored) in softmax_tables().items()),
    ):
        specs[f"softmax/{slot}"], widths[f"softmax/{slot}"] = spec, stored
    layer = Layer("attention", options, specs, weights, widths, inputs=tuple(-1 - n for n in range(count)))
    return LayerCase((layer,), shape, tensors(rng, count, shape))


def linformer(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    positions: tuple[int, ...],
    *,
    shared: bool = False,
    **options: Any,
) -> LayerCase:
    """Attention whose keys and values are mapped to fewer positions."""
    case = attention(rng, shape, **options)
    (layer,), features = case.layers, shape[-1]
    fuse, rank = layer.options.get("fuse", "none"), len(shape) - 1
    attended = layer.options.get("attention_axes", tuple(range(rank)))
    specs, widths, weights = dict(layer.quantizers), dict(layer.widths), dict(layer.weights)
    sizes = dict(zip(attended, positions, strict=True))
    fewer = (*(sizes.get(axis, n) for axis, n in enumerate(shape[:-1])), features)
    one_key = shared and fuse != "none"
    for name in ("value", "key"):
        specs[f"{name}/iq"], widths[f"{name}/iq"] = data_spec(), data_widths(rng, fewer)
        if name == "value" or fuse == "none":
            specs[f"{name}_proj/iq"], widths[f"{name}_proj/iq"] = data_spec(), data_widths(rng, shape)
    if one_key:
        del specs["key/iq"], widths["key/iq"]
    for name in ("kv_proj",) if shared else ("value_proj", "key_proj"):
        kernel = numbers(rng, *(shape[axis] for axis in attended), *positions) / 2
        weights[f"{name}/kernel"], specs[f"{name}/kq"] = kernel, weight_spec()
        widths[f"{name}/kq"] = weight_widths(rng, kernel)
    given = {**layer.options, "positions": positions, "shared": shared}
    return LayerCase((Layer("linformer", given, specs, weights, widths, inputs=layer.inputs),), shape, case.inputs)


CASES: dict[str, Callable[[np.random.Generator], LayerCase]] = {
    "softmax-masked": partial(_softmax, shape=(3, 4), mask=[[1, 0, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]]),
    "softmax-masked-fast": partial(_softmax, shape=(2, 4), mask=[1, 1, 0, 1], stable=False),
    "softmax-first-axis": partial(_softmax, shape=(3, 2), mask=[[1, 1], [1, 0], [0, 1]], axes=(0,)),
    "softmax-two-axes": partial(_softmax, shape=(2, 3, 2), mask=True, axes=(0, 2)),
    "attention": attention,
    "attention-causal": partial(attention, causal=True),
    "attention-masked": partial(attention, mask=np.array([[1, 1, 0], [0, 1, 1], [1, 0, 0]], bool), value=3),
    "attention-fused": partial(attention, count=1, fuse="qkv"),
    "attention-key-is-value": partial(attention, count=2, fuse="kv", stable=False),
    "attention-two-axes": partial(attention, shape=(2, 2, 2), key=1),
    "attention-one-of-two-axes": partial(attention, shape=(2, 2, 2), key=1, attention_axes=(1,)),
    "linformer": partial(linformer, shape=(3, 2), positions=(2,)),
    "linformer-shared": partial(linformer, shape=(3, 2), positions=(2,), shared=True, stable=False),
    "linformer-key-is-value": partial(linformer, shape=(3, 2), positions=(2,), count=2, fuse="kv"),
    "linformer-fused-shared": partial(linformer, shape=(4, 2), positions=(2,), count=1, fuse="qkv", shared=True),
    "linformer-two-axes": partial(linformer, shape=(2, 3, 2), positions=(1, 2), key=1),
    "linformer-one-of-two-axes": partial(linformer, shape=(2, 3, 2), positions=(2,), key=1, attention_axes=(1,)),
}


def _declared(layer: Layer) -> Declaration:
    options = layer.options
    return MultiHeadAttention(
        options["heads"],
        options["key_dim"],
        options["value_dim"],
        attention_axes=options.get("attention_axes"),
        fuse=options.get("fuse", "none"),
        stable=options.get("stable", True),
        mask=options.get("mask"),
        causal=options.get("causal", False),
        project=SequenceProjection(options["positions"], options["shared"]) if "positions" in options else None,
    )


KINDS: dict[str, Callable[[Layer], Declaration]] = {"attention": _declared, "linformer": _declared}
