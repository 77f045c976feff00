"""Layers of one table an edge, by their definition: loops over edges, each a network of one number in float64."""

from __future__ import annotations

from fractions import Fraction
from math import prod, sqrt, tanh
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.tensors import Array, bits_of, quantized

__all__ = ["ebops", "values"]


def _network(layer: Layer, edge: tuple[int, ...], x: float, inputs: int) -> float:
    weights, options = layer.weights, layer.options
    own = tuple(0 if n == 1 else at for n, at in zip(weights["kernel_0"].shape, edge, strict=False))
    h = [x]
    for n in range(options["n_hl"] + 1):
        kernel, bias = weights[f"kernel_{n}"][own], weights[f"bias_{n}"][own]
        h = [sum(float(h[a]) * float(kernel[a, b]) for a in range(len(h))) + float(bias[b]) for b in range(len(bias))]
        if n < options["n_hl"]:
            h = [tanh(v) for v in h]
    y = h[0]
    if options.get("batch_norm"):
        at = own[len(own) - weights["moving_mean"].ndim :]
        centred = y - float(weights["moving_mean"][at])
        y = centred / sqrt(float(weights["moving_variance"][at]) + 1e-3) * float(weights["bn_gamma"][own])
        y += float(weights["bn_beta"][own])
    return y / sqrt(inputs)


def _edges(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Rows, outputs, inputs."""
    if layer.kind == "table_einsum":  # bti,toi->bto
        return (*layer.options["output_shape"], shape[-1])
    return (*shape[:-1], layer.options["units"], shape[-1])


def values(layer: Layer, inputs: list[Array]) -> Array:
    """The sums of the tables, and the bias."""
    x = inputs[0]
    full = (len(x), *_edges(layer, x.shape[1:]))
    data = quantized(layer, "iq", np.broadcast_to(x[..., None, :], full))
    tables = np.empty(full, dtype=object)
    for place in np.ndindex(*full):
        tables[place] = Fraction(_network(layer, place[1:], float(data[place]), full[-1]))
    y = quantized(layer, "toq", tables).sum(axis=-1)
    if "bias" in layer.weights:
        bias: Any = np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(layer.weights["bias"])
        y = y + quantized(layer, "bq", bias)
    return np.asarray(y)


def _full(layer: Layer, name: str, shape: tuple[int, ...]) -> Array:
    """Widths with their sign; counted ones have it under SAT."""
    counted = bits_of(layer, name, shape)
    spec: Any = layer.quantizers[name]
    if spec.overflow_mode.name == "SAT":
        return counted
    k = np.broadcast_to(layer.widths[name]["k"], (1, *shape))[0]
    return np.where(counted > 0, counted + k, 0)


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output."""
    full = _edges(layer, shape)
    whole, part = layer.options.get("table_idxs", (6, 5))
    total = Fraction(0)
    for w_in, w_out in zip(_full(layer, "iq", full).ravel(), _full(layer, "toq", full).ravel(), strict=True):
        small = Fraction(2) ** (int(w_in) - part) if w_in >= part else Fraction(int(w_in), part)
        total += small * int(w_out) * Fraction(2) ** (part - whole) + int(w_out)
    if "bias" in layer.weights:
        bits = bits_of(layer, "bq", layer.weights["bias"].shape)
        total += sum(int(n) for n in np.broadcast_to(bits, full[:-1]).ravel())
    if layer.options.get("parallelization_factor", -1) > 0:
        total *= Fraction(layer.options["parallelization_factor"], prod(shape[:-1]))
    return total, full[:-1]
