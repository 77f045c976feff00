"""Layers by their definition: loops over fractions, for values and EBOPs; no code is shared with an implementation."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from types import ModuleType

import numpy as np

from hgq_core.conformance.backend import AT_EDGES, LOOPS, Layer
from hgq_core.conformance.oracle import (
    activation,
    attention,
    convolutions,
    fused_norm,
    layer_norm,
    linear,
    lookup,
    merge,
    norm,
    recurrent,
    reduce,
    softmax,
    spiking,
    table,
    table_attention,
    windows,
)
from hgq_core.conformance.oracle.tensors import Array, quantized
from hgq_core.conformance.wiring import evaluated, input_count

__all__ = ["forward", "total_ebops"]

_FAMILIES: dict[str, ModuleType] = {
    "dense": linear,
    "einsum_dense": linear,
    "conv1d": linear,
    "conv2d": linear,
    "batch_norm": norm,
    "max_pool2d": windows,
    "average_pool2d": windows,
    "add": merge,
    "unary_lut": lookup,
    "softmax": softmax,
    "attention": attention,
    "linformer": attention,
    "conv3d": linear,
    "activation": activation,
    "layer_norm": layer_norm,
    "rms_norm": layer_norm,
    **{f"{kind}_pool{rank}d": windows for kind in ("max", "average") for rank in (1, 3)},
    **{f"global_{kind}_pool{rank}d": windows for kind in ("max", "average") for rank in (1, 2, 3)},
    **dict.fromkeys(("einsum_dense_norm", "norm_dense", "conv1d_norm", "conv2d_norm", "conv3d_norm"), fused_norm),
    **{f"{kind}{rank}d": convolutions for kind in ("depthwise", "separable") for rank in (1, 2)},
    **{f"transposed{rank}d": convolutions for rank in (1, 2, 3)},
    "table_dense": table,
    "table_einsum": table,
    **dict.fromkeys(("table_dense", "table_einsum", "table_conv1d", "table_conv2d"), table),
    **dict.fromkeys(("table_attention", "table_linformer"), table_attention),
    **dict.fromkeys(
        ("subtract", "multiply", "maximum", "minimum", "average_pow2", "concatenate", "dot", "einsum"), merge
    ),
    **dict.fromkeys(("sum", "mean_pow2"), reduce),
    **dict.fromkeys(("simple_rnn", "gru", "lstm"), recurrent),
    **dict.fromkeys(("snn", "lif"), spiking),
}


def forward(layers: Sequence[Layer], inputs: Sequence[Array]) -> Array:
    """The output of a model at inference, as fractions."""
    exact = [np.vectorize(Fraction, otypes=[object])(np.asarray(x, dtype=object)) for x in inputs]
    return np.asarray(evaluated(layers, exact, lambda number, operands: _applied(layers[number], operands)))


def _applied(layer: Layer, operands: list[Array]) -> Array:
    if layer.kind == "flatten":
        return operands[0].reshape(len(operands[0]), -1)
    if layer.kind == "nested":
        return forward(layer.options["parts"], operands)
    if layer.kind not in AT_EDGES:
        operands = [quantized(layer, "iq", x) for x in operands]
    y = _FAMILIES[layer.kind].values(layer, operands)
    if layer.kind not in LOOPS:
        y = activation.applied(layer.options.get("activation"), y)
    return quantized(layer, "oq", y)


def total_ebops(layers: Sequence[Layer], input_shape: tuple[int, ...]) -> float:
    """EBOPs of a model: of every application of a layer."""
    total = Fraction(0)

    def cost(number: int, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
        nonlocal total
        part, shape = _cost(layers[number], shapes[0])
        total += part
        return shape

    evaluated(layers, [input_shape] * input_count(layers), cost)
    return float(total)


def _cost(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    if layer.kind == "flatten":
        return Fraction(0), (prod(shape),)
    if layer.kind != "nested":
        counted: tuple[Fraction, tuple[int, ...]] = _FAMILIES[layer.kind].ebops(layer, shape)
        return counted
    total = Fraction(0)
    for part in layer.options["parts"]:
        cost, shape = _cost(part, shape)
        total += cost
    return total, shape
