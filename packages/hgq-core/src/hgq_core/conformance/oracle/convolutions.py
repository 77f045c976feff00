"""Depthwise, separable and transposed convolutions by their definition: every product written out."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import prod

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.tensors import Array, bits_of, quantized, several
from hgq_core.conformance.oracle.windows import positions

__all__ = ["ebops", "values"]

_Place = tuple[int, ...]
_Product = tuple[_Place, _Place, _Place]
"""Places in the output, in the data and in the kernel as it is quantized."""


def values(layer: Layer, inputs: list[Array]) -> Array:
    """The output, before the activation."""
    x = _channels_last(layer, inputs[0])
    if layer.kind.startswith("transposed"):
        kernel = quantized(layer, "kq", np.swapaxes(layer.weights["kernel"], -1, -2))
        y = _summed(x, kernel, list(_transposed(layer, x.shape[1:])), _transposed_shape(layer, x.shape[1:]))
    else:
        slots = ("kernel", "kq") if layer.kind.startswith("depthwise") else ("depthwise_kernel", "dkq")
        kernel = quantized(layer, slots[1], _by_channel(layer.weights[slots[0]]))
        y = _summed(x, kernel, list(_depthwise(layer, slots[0], x.shape[1:])), _depthwise_shape(layer, x.shape[1:]))
        if layer.kind.startswith("separable"):
            inner = quantized(layer, "piq", y)
            mix = quantized(layer, "pkq", layer.weights["pointwise_kernel"])
            y = _summed(inner, mix, list(_pointwise(layer, y.shape[1:])), (*y.shape[1:-1], mix.shape[-1]))
    if "bias" in layer.weights:
        y = y + quantized(layer, "bq", layer.weights["bias"])
    return np.moveaxis(y, -1, 1) if _is_first(layer) else y


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output."""
    data = np.asarray(bits_of(layer, "iq", shape))
    data = np.moveaxis(data, 0, -1) if _is_first(layer) else data
    if layer.kind.startswith("transposed"):
        weight = np.swapaxes(layer.weights["kernel"], -1, -2)
        total = _met(data, bits_of(layer, "kq", weight.shape), _transposed(layer, data.shape))
        out, instances = _transposed_shape(layer, data.shape), prod(data.shape[:-1])
    else:
        slots = ("kernel", "kq") if layer.kind.startswith("depthwise") else ("depthwise_kernel", "dkq")
        weight = _by_channel(layer.weights[slots[0]])
        total = _met(data, bits_of(layer, slots[1], weight.shape), _depthwise(layer, slots[0], data.shape))
        out = _depthwise_shape(layer, data.shape)
        instances = prod(out[:-1])
        if layer.kind.startswith("separable"):
            mix = layer.weights["pointwise_kernel"].shape
            total += _met(bits_of(layer, "piq", out), bits_of(layer, "pkq", mix), _pointwise(layer, out))
            out = (*out[:-1], mix[-1])
    if "bias" in layer.weights:
        total += sum(int(b) for b in bits_of(layer, "bq", layer.weights["bias"].shape)) * prod(out[:-1])
    built = layer.options.get("parallelization_factor", -1)
    cost = Fraction(total) * Fraction(instances if built == -1 else built, instances)
    return cost, (out[-1], *out[:-1]) if _is_first(layer) else out


def _is_first(layer: Layer) -> bool:
    return layer.options.get("data_format") == "channels_first"


def _channels_last(layer: Layer, x: Array) -> Array:
    return np.moveaxis(x, 1, -1) if _is_first(layer) else x


def _summed(x: Array, kernel: Array, products: list[_Product], shape: tuple[int, ...]) -> Array:
    y = np.full((len(x), *shape), Fraction(0), dtype=object)
    for n, (place, data, weight) in product(range(len(x)), products):
        y[(n, *place)] += x[(n, *data)] * kernel[weight]
    return y


def _met(data: Array, kernel: Array, products: Iterator[_Product]) -> int:
    return sum(int(data[at]) * int(kernel[weight]) for _, at, weight in products)


# --- each channel by itself ---


def _by_channel(kernel: Array) -> Array:
    """``(*window, channels, multiplier)`` with its filters in a row."""
    *window, channels, filters = kernel.shape
    return np.asarray(kernel).reshape(*window, 1, channels * filters)


def _depthwise_axes(layer: Layer, window: tuple[int, ...], shape: tuple[int, ...]) -> list[list[list[tuple[int, int]]]]:
    sizes = zip(shape, window, strict=False)
    return [positions(layer, n, w, axis, len(window)) for axis, (n, w) in enumerate(sizes)]


def _depthwise(layer: Layer, slot: str, shape: tuple[int, ...]) -> Iterator[_Product]:
    *window, channels, filters = layer.weights[slot].shape
    axes = _depthwise_axes(layer, tuple(window), shape)
    for place in product(*(range(len(axis)) for axis in axes)):
        for pairs in product(*(axis[p] for axis, p in zip(axes, place, strict=True))):
            taps, ats = tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)
            for c, m in product(range(channels), range(filters)):
                yield (*place, c * filters + m), (*ats, c), (*taps, 0, c * filters + m)


def _depthwise_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    slot = "kernel" if layer.kind.startswith("depthwise") else "depthwise_kernel"
    *window, channels, filters = layer.weights[slot].shape
    return (*(len(axis) for axis in _depthwise_axes(layer, tuple(window), shape)), channels * filters)


def _pointwise(layer: Layer, shape: tuple[int, ...]) -> Iterator[_Product]:
    zeros = (0,) * (len(shape) - 1)
    for place in product(*map(range, shape[:-1])):
        for c, o in product(range(shape[-1]), range(layer.options["filters"])):
            yield (*place, o), (*place, c), (*zeros, c, o)


# --- transposed ---


def _extent(layer: Layer, axis: int, n: int, window: int) -> tuple[int, int]:
    """Along one axis, how many positions the output has, and which of the full one is the first."""
    options, rank = layer.options, int(layer.kind[-2])
    stride = several(options.get("strides", 1), rank)[axis]
    reach = (window - 1) * several(options.get("dilation_rate", 1), rank)[axis] + 1
    more = options.get("output_padding")
    full = (n - 1) * stride + reach
    if options.get("padding", "valid") == "valid":
        return (max(full, n * stride) if more is None else full + several(more, rank)[axis]), 0
    size = n * stride if more is None else (n - 1) * stride + reach % 2 + several(more, rank)[axis]
    return size, max(full - size, 0) // 2


def _transposed_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    *window, filters, _ = layer.weights["kernel"].shape
    sizes = enumerate(zip(shape, window, strict=False))
    return (*(_extent(layer, axis, n, w)[0] for axis, (n, w) in sizes), filters)


def _transposed(layer: Layer, shape: tuple[int, ...]) -> Iterator[_Product]:
    *window, filters, channels = layer.weights["kernel"].shape
    rank = len(window)
    strides, dilation = (several(layer.options.get(name, 1), rank) for name in ("strides", "dilation_rate"))
    extents = [_extent(layer, axis, n, w) for axis, (n, w) in enumerate(zip(shape, window, strict=False))]
    for at in product(*map(range, shape[:-1])):
        for tap in product(*map(range, window)):
            steps = zip(at, tap, strides, dilation, extents, strict=True)
            place = tuple(p * s + w * d - first for p, w, s, d, (_, first) in steps)
            if all(0 <= p < size for p, (size, _) in zip(place, extents, strict=True)):
                for c, o in product(range(channels), range(filters)):
                    yield (*place, o), (*at, c), (*tap, c, o)
