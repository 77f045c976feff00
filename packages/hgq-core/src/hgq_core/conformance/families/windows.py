"""Pooling over one to three axes, and over all positions; convolution over three."""

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
from hgq_core.layers import Convolution, Declaration, GlobalPooling, Pooling
from hgq_core.modes import Overflow, Round

__all__ = ["CASES", "KINDS", "spread"]


def spread(value: Any, rank: int) -> tuple[int, ...]:
    """One number for each axis."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _pooled(
    rng: np.random.Generator, kind: str, shape: tuple[int, ...], oq: Modes | None = None, **options: Any
) -> LayerCase:
    quantizers, widths = {"iq": data_spec()}, {"iq": data_widths(rng, shape)}
    if oq:
        quantizers["oq"], widths["oq"] = data_spec(oq, shared=True), {"k": 1, "i": 3, "f": 2}
    return LayerCase((Layer(kind, options, quantizers, {}, widths),), shape, tensors(rng, 1, shape))


def _volume(rng: np.random.Generator, shape: tuple[int, ...], bias: bool = True, **options: Any) -> LayerCase:
    channels = shape[-1] // options.get("groups", 1)
    weights = {"kernel": numbers(rng, *options["kernel_size"], channels, options["filters"])}
    specs, widths = {"iq": data_spec(), "kq": weight_spec()}, {"iq": data_widths(rng, shape)}
    widths["kq"] = weight_widths(rng, weights["kernel"])
    if bias:
        weights["bias"] = numbers(rng, options["filters"])
        specs["bq"], widths["bq"] = weight_spec(is_bias=True), weight_widths(rng, weights["bias"], is_bias=True)
    return LayerCase((Layer("conv3d", options, specs, weights, widths),), shape, tensors(rng, 1, shape))


CASES: dict[str, Callable[[np.random.Generator], LayerCase]] = {
    "max-pool-1d": partial(_pooled, kind="max_pool1d", shape=(7, 2), pool_size=2),
    "max-pool-1d-same": partial(_pooled, kind="max_pool1d", shape=(5, 2), pool_size=3, strides=2, padding="same"),
    "max-pool-3d": partial(_pooled, kind="max_pool3d", shape=(2, 4, 2, 1), pool_size=(1, 2, 2)),
    "average-pool-1d": partial(_pooled, kind="average_pool1d", shape=(8, 2), pool_size=4, oq=(Round.RND, Overflow.SAT)),
    "average-pool-3d": partial(_pooled, kind="average_pool3d", shape=(2, 2, 4, 1), pool_size=2),
    "global-max-1d": partial(_pooled, kind="global_max_pool1d", shape=(5, 2)),
    "global-max-2d": partial(_pooled, kind="global_max_pool2d", shape=(3, 2, 2), keepdims=True),
    "global-max-3d": partial(_pooled, kind="global_max_pool3d", shape=(2, 1, 2, 2)),
    "global-average-1d": partial(_pooled, kind="global_average_pool1d", shape=(4, 3), keepdims=True),
    "global-average-2d": partial(_pooled, kind="global_average_pool2d", shape=(2, 4, 2)),
    "global-average-3d": partial(_pooled, kind="global_average_pool3d", shape=(2, 2, 2, 1)),
    "conv3d": partial(_volume, shape=(2, 3, 2, 2), filters=2, kernel_size=(2, 2, 1)),
    "conv3d-same": partial(
        _volume, shape=(2, 2, 3, 1), filters=2, kernel_size=(1, 2, 2), strides=(1, 1, 2), padding="same", bias=False
    ),
}


def _pool(layer: Layer, kind: Any) -> Declaration:
    options, rank = layer.options, int(layer.kind[-2])
    window = spread(options["pool_size"], rank)
    return Pooling(kind, window, spread(options.get("strides") or window, rank), options.get("padding", "valid"))


def _global(layer: Layer, kind: Any) -> Declaration:
    return GlobalPooling(kind, int(layer.kind[-2]), layer.options.get("keepdims", False))


def _conv3d(layer: Layer) -> Declaration:
    options = layer.options
    return Convolution(
        options["filters"],
        options["kernel_size"],
        spread(options.get("strides", 1), 3),
        options.get("padding", "valid"),
        (1, 1, 1),
        use_bias="bias" in layer.weights,
    )


KINDS: dict[str, Callable[[Layer], Declaration]] = {
    **{f"{kind}_pool{rank}d": partial(_pool, kind=kind) for kind in ("max", "average") for rank in (1, 3)},
    **{f"global_{kind}_pool{rank}d": partial(_global, kind=kind) for kind in ("max", "average") for rank in (1, 2, 3)},
    "conv3d": _conv3d,
}
