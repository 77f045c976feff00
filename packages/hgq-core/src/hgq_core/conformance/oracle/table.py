"""Layers of one table an edge, by their definition: loops over edges, each a network of one number in float64."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import prod, sqrt, tanh
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.tensors import Array, bits_of, quantized
from hgq_core.conformance.oracle.windows import positions

__all__ = ["cost", "ebops", "sums", "values"]


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


def _edges(layer: Layer, shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """Rows, outputs, and what is summed over; how many axes of the latter."""
    if layer.kind == "table_einsum":  # bti,toi->bto
        return (*layer.options["output_shape"], shape[-1]), 1
    if layer.kind == "table_dense":
        return (*shape[:-1], layer.options["units"], shape[-1]), 1
    places = tuple(len(axis) for axis in _windows(layer, shape))
    groups, filters, window = layer.options.get("groups", 1), layer.options["filters"], layer.options["kernel_size"]
    several = (groups,) if groups > 1 else ()
    return (*places, *several, filters // groups, *window, shape[-1] // groups), len(window) + 1


def _windows(layer: Layer, shape: tuple[int, ...]) -> list[list[list[tuple[int, int]]]]:
    window = layer.options["kernel_size"]
    return [positions(layer, n, w, axis, len(window)) for axis, (n, w) in enumerate(zip(shape, window, strict=False))]


def _at_edges(layer: Layer, x: Array) -> Array:
    """The input of each edge; 0 around the data."""
    full, _ = _edges(layer, x.shape[1:])
    if "conv" not in layer.kind:
        return np.asarray(np.broadcast_to(x[..., None, :], (len(x), *full)))
    axes, grouped = _windows(layer, x.shape[1:]), layer.options.get("groups", 1) > 1
    rank, channels = len(axes), full[-1]
    data = np.full((len(x), *full), Fraction(0), dtype=object)
    for n, edge in product(range(len(x)), np.ndindex(*full)):
        taps, group = edge[-1 - rank : -1], edge[rank] if grouped else 0
        met = [dict(axis[place]).get(tap) for axis, place, tap in zip(axes, edge, taps, strict=False)]
        if None not in met:
            data[(n, *edge)] = x[(n, *met, group * channels + edge[-1])]
    return data


def values(layer: Layer, inputs: list[Array]) -> Array:
    """The sums of the tables, and the bias."""
    full, summed = _edges(layer, inputs[0].shape[1:])
    y = sums(layer, _at_edges(layer, inputs[0]), summed)
    return y.reshape(len(y), *_shape(layer, full[:-summed]))


def sums(layer: Layer, x: Array, summed: int) -> Array:
    """The tables of data at their edges, summed over so many axes, and the bias."""
    data = quantized(layer, "iq", x)
    tables = np.empty(data.shape, dtype=object)
    for place in np.ndindex(*data.shape):
        tables[place] = Fraction(_network(layer, place[1:], float(data[place]), prod(data.shape[-summed:])))
    y = quantized(layer, "toq", tables).sum(axis=tuple(range(-summed, 0)))
    if "bias" in layer.weights:
        bias: Any = np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(layer.weights["bias"])
        y = y + quantized(layer, "bq", bias)
    return np.asarray(y)


def _shape(layer: Layer, outputs: tuple[int, ...]) -> tuple[int, ...]:
    """Groups of filters are one axis behind the sum."""
    return (*outputs[:-2], prod(outputs[-2:])) if layer.options.get("groups", 1) > 1 else outputs


def _full(layer: Layer, name: str, shape: tuple[int, ...]) -> Array:
    """Widths with their sign; counted ones have it under SAT."""
    counted = bits_of(layer, name, shape)
    spec: Any = layer.quantizers[name]
    if spec.overflow_mode.name == "SAT":
        return counted
    k = np.broadcast_to(layer.widths[name]["k"], (1, *shape))[0]
    return np.where(counted > 0, counted + k, 0)


def cost(layer: Layer, full: tuple[int, ...], summed: int) -> Fraction:
    """EBOPs of tables of these edges, and of their bias."""
    whole, part = layer.options.get("table_idxs", (6, 5))
    total = Fraction(0)
    for w_in, w_out in zip(_full(layer, "iq", full).ravel(), _full(layer, "toq", full).ravel(), strict=True):
        small = Fraction(2) ** (int(w_in) - part) if w_in >= part else Fraction(int(w_in), part)
        total += small * int(w_out) * Fraction(2) ** (part - whole) + int(w_out)
    if "bias" in layer.weights:
        bits = bits_of(layer, "bq", layer.weights["bias"].shape)
        total += sum(int(n) for n in np.broadcast_to(bits, full[:-summed]).ravel())
    return total


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output."""
    full, summed = _edges(layer, shape)
    total = cost(layer, full, summed)
    if layer.options.get("parallelization_factor", -1) > 0:
        rows = full[: len(shape) - 1]
        total *= Fraction(layer.options["parallelization_factor"], prod(rows))
    return total, _shape(layer, full[:-summed])
