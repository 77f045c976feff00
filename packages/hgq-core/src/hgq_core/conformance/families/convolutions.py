"""Depthwise, separable and transposed convolutions, in both layouts of data."""

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
from hgq_core.conformance.families.windows import spread
from hgq_core.graph.ops import Relu
from hgq_core.layers import (
    ChannelsFirst,
    Declaration,
    DepthwiseConvolution,
    SeparableConvolution,
    TransposedConvolution,
)
from hgq_core.modes import Overflow, Round

__all__ = ["CASES", "KINDS"]


def _channels(shape: tuple[int, ...], options: dict[str, Any]) -> int:
    return shape[0 if options.get("data_format") == "channels_first" else -1]


def _drawn(
    rng: np.random.Generator,
    kind: str,
    shape: tuple[int, ...],
    weights: dict[str, Any],
    quantized: dict[str, tuple[int, ...]],
    filters: int,
    bias: bool,
    oq: Modes | None,
    options: dict[str, Any],
) -> LayerCase:
    """A case of a layer with these kernels, which are quantized in these shapes, by slot."""
    specs, widths = {"iq": data_spec()}, {"iq": data_widths(rng, shape)}
    for (slot, form), kernel in zip(quantized.items(), list(weights.values()), strict=True):
        order = np.swapaxes(kernel, -1, -2) if kind.startswith("transposed") else kernel
        specs[slot], widths[slot] = weight_spec(), weight_widths(rng, order.reshape(form))
    if kind.startswith("separable"):
        inner = _inner(Layer(kind, options, {}, weights), shape)
        specs["piq"], widths["piq"] = data_spec((Round.RND, Overflow.SAT)), data_widths(rng, inner)
    if bias:
        weights["bias"] = numbers(rng, filters)
        specs["bq"], widths["bq"] = weight_spec(is_bias=True), weight_widths(rng, weights["bias"], is_bias=True)
    if oq:
        specs["oq"], widths["oq"] = data_spec(oq, shared=True), {"k": 1, "i": 3, "f": 2}
    return LayerCase((Layer(kind, options, specs, weights, widths),), shape, tensors(rng, 1, shape))


def _inner(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of what is between the two parts of a separable convolution, channels last."""
    rank, window = len(layer.options["kernel_size"]), layer.options["kernel_size"]
    spatial = shape[1:] if _is_first(layer) else shape[:-1]
    strides, padding = spread(layer.options.get("strides", 1), rank), layer.options.get("padding", "valid")
    sizes = zip(spatial, window, strides, strict=True)
    out = [-(-n // s) if padding == "same" else (n - w) // s + 1 for n, w, s in sizes]
    return (*out, layer.weights["pointwise_kernel"].shape[-2])


def _is_first(layer: Layer) -> bool:
    return layer.options.get("data_format") == "channels_first"


def _depthwise(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    kernel_size: tuple[int, ...],
    bias: bool = True,
    oq: Modes | None = None,
    **given: Any,
) -> LayerCase:
    options = {"kernel_size": kernel_size, **given}
    channels, filters = _channels(shape, options), options.get("depth_multiplier", 1)
    weights = {"kernel": numbers(rng, *kernel_size, channels, filters)}
    form = {"kq": (*kernel_size, 1, channels * filters)}
    kind = f"depthwise{len(kernel_size)}d"
    return _drawn(rng, kind, shape, weights, form, channels * filters, bias, oq, options)


def _separable(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    kernel_size: tuple[int, ...],
    filters: int,
    bias: bool = True,
    oq: Modes | None = None,
    **given: Any,
) -> LayerCase:
    options = {"kernel_size": kernel_size, "filters": filters, **given}
    channels, inner = _channels(shape, options), options.get("depth_multiplier", 1)
    ones = (1,) * len(kernel_size)
    weights = {
        "depthwise_kernel": numbers(rng, *kernel_size, channels, inner),
        "pointwise_kernel": numbers(rng, *ones, channels * inner, filters),
    }
    forms = {"dkq": (*kernel_size, 1, channels * inner), "pkq": (*ones, channels * inner, filters)}
    return _drawn(rng, f"separable{len(ones)}d", shape, weights, forms, filters, bias, oq, options)


def _transposed(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    kernel_size: tuple[int, ...],
    filters: int,
    bias: bool = True,
    oq: Modes | None = None,
    **given: Any,
) -> LayerCase:
    options = {"kernel_size": kernel_size, "filters": filters, **given}
    channels = _channels(shape, options)
    weights = {"kernel": numbers(rng, *kernel_size, filters, channels)}
    forms = {"kq": (*kernel_size, channels, filters)}
    return _drawn(rng, f"transposed{len(kernel_size)}d", shape, weights, forms, filters, bias, oq, options)


_FIRST: dict[str, Any] = {"data_format": "channels_first"}
CASES: dict[str, Callable[[np.random.Generator], LayerCase]] = {
    "depthwise-1d": partial(_depthwise, shape=(6, 3), kernel_size=(3,), depth_multiplier=2),
    "depthwise-1d-causal": partial(
        _depthwise, shape=(6, 2), kernel_size=(2,), padding="causal", dilation_rate=2, bias=False
    ),
    "depthwise-2d": partial(_depthwise, shape=(4, 4, 3), kernel_size=(3, 2), activation="relu"),
    "depthwise-2d-strided": partial(
        _depthwise, shape=(5, 4, 2), kernel_size=(3, 3), strides=2, padding="same", depth_multiplier=2,
        oq=(Round.RND_CONV, Overflow.SAT),
    ),
    "depthwise-2d-dilated-pf": partial(
        _depthwise, shape=(4, 4, 2), kernel_size=(2, 2), dilation_rate=2, parallelization_factor=2
    ),
    "depthwise-2d-first": partial(_depthwise, shape=(2, 4, 3), kernel_size=(2, 2), depth_multiplier=2, **_FIRST),
    "separable-1d": partial(_separable, shape=(5, 2), kernel_size=(2,), filters=3, depth_multiplier=2),
    "separable-2d": partial(
        _separable, shape=(3, 4, 2), kernel_size=(3, 2), filters=3, padding="same", activation="relu"
    ),
    "separable-2d-strided-pf": partial(
        _separable, shape=(5, 5, 2), kernel_size=(3, 3), filters=2, strides=2, bias=False, parallelization_factor=2
    ),
    "separable-2d-first": partial(_separable, shape=(2, 3, 4), kernel_size=(2, 2), filters=3, **_FIRST),
    "transposed-1d": partial(_transposed, shape=(4, 2), kernel_size=(3,), filters=3, strides=2),
    "transposed-1d-gaps": partial(_transposed, shape=(3, 2), kernel_size=(2,), filters=2, strides=4),
    "transposed-2d": partial(
        _transposed, shape=(3, 3, 2), kernel_size=(3, 2), filters=2, strides=(2, 1), padding="same", activation="relu"
    ),
    "transposed-2d-dilated": partial(
        _transposed, shape=(3, 2, 1), kernel_size=(2, 3), filters=2, dilation_rate=(2, 1), padding="same", bias=False
    ),
    "transposed-2d-output-padding": partial(
        _transposed, shape=(2, 3, 2), kernel_size=(4, 3), filters=2, strides=2, padding="same", output_padding=1,
        oq=(Round.RND, Overflow.SAT),
    ),
    "transposed-2d-more": partial(
        _transposed, shape=(2, 2, 2), kernel_size=(2, 2), filters=1, strides=3, output_padding=(2, 0),
        parallelization_factor=2,
    ),
    "transposed-2d-first": partial(_transposed, shape=(2, 3, 2), kernel_size=(2, 2), filters=3, strides=2, **_FIRST),
    "transposed-3d": partial(_transposed, shape=(2, 2, 2, 1), kernel_size=(2, 1, 2), filters=2, strides=(1, 2, 1)),
}  # fmt: skip


def _laid_out(layer: Layer, declaration: Declaration) -> Declaration:
    return ChannelsFirst(declaration) if _is_first(layer) else declaration


def _window(layer: Layer) -> dict[str, Any]:
    options, rank = layer.options, int(layer.kind[-2])
    return {
        "kernel_size": options["kernel_size"],
        "strides": spread(options.get("strides", 1), rank),
        "padding": options.get("padding", "valid"),
        "dilation": spread(options.get("dilation_rate", 1), rank),
        "use_bias": "bias" in layer.weights,
        "activation": Relu() if options.get("activation") == "relu" else None,
        "parallelization_factor": options.get("parallelization_factor", -1),
    }


def _declared_depthwise(layer: Layer) -> Declaration:
    return _laid_out(
        layer, DepthwiseConvolution(**_window(layer), depth_multiplier=layer.options.get("depth_multiplier", 1))
    )


def _declared_separable(layer: Layer) -> Declaration:
    multiplier = layer.options.get("depth_multiplier", 1)
    return _laid_out(
        layer, SeparableConvolution(layer.options["filters"], **_window(layer), depth_multiplier=multiplier)
    )


def _declared_transposed(layer: Layer) -> Declaration:
    more, rank = layer.options.get("output_padding"), int(layer.kind[-2])
    operation = TransposedConvolution(
        layer.options["filters"],
        **_window(layer),
        output_padding=None if more is None else spread(more, rank),
        stored="filters",
    )
    return _laid_out(layer, operation)


KINDS: dict[str, Callable[[Layer], Declaration]] = {
    **{f"depthwise{rank}d": _declared_depthwise for rank in (1, 2)},
    **{f"separable{rank}d": _declared_separable for rank in (1, 2)},
    **{f"transposed{rank}d": _declared_transposed for rank in (1, 2, 3)},
}
