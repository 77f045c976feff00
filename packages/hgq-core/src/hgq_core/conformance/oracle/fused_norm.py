"""Layers with a folded norm by their definition: as the layer whose kernel and bias are the folded ones."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import sqrt

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle import linear
from hgq_core.conformance.oracle.tensors import Array

__all__ = ["ebops", "values"]


def _plain(layer: Layer) -> Layer:
    """The layer without a norm that computes the same."""
    w = {name: value.astype(np.float64) for name, value in layer.weights.items()}
    variance = w["moving_variance"]
    scale = np.empty(variance.shape)
    for at in np.ndindex(variance.shape):
        scale[at] = w["bn_gamma"][at] / sqrt(variance[at] + layer.options["epsilon"])
    kernel = w["kernel"].copy()
    if layer.kind == "norm_dense":
        for i, o in np.ndindex(kernel.shape):
            kernel[i, o] *= scale[i]
        bias = w["bias"] - sum(w["moving_mean"][i] * kernel[i] for i in range(len(kernel)))
        return replace(layer, kind="dense", weights={"kernel": kernel, "bias": bias})
    offset = w.get("bn_beta", 0.0) - w["moving_mean"] * scale
    if layer.kind != "einsum_dense_norm":
        for at in np.ndindex(kernel.shape):
            kernel[at] *= scale[at[-1]]
        return replace(layer, kind=layer.kind.removesuffix("_norm"), weights={"kernel": kernel, "bias": offset})
    _, letters, output = layer.options["equation"].replace("->", ",").split(",")
    axes = [c for c in output if c in layer.options["bias_axes"]]
    for at in np.ndindex(kernel.shape):
        kernel[at] *= scale[tuple(at[letters.index(c)] for c in axes)]
    first = min(output.index(c) for c in axes)
    sizes = dict(zip(axes, offset.shape, strict=True))
    bias = offset.reshape([sizes.get(c, 1) for c in output[first:]])
    return replace(layer, kind="einsum_dense", weights={"kernel": kernel, "bias": bias})


def values(layer: Layer, inputs: list[Array]) -> Array:
    """The output, before the activation."""
    return linear.values(_plain(layer), inputs)


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output."""
    return linear.ebops(_plain(layer), shape)
