"""Windows by their definition: which input positions meet, for convolution and pooling."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import ceil

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.tensors import ADD, Array, bits_of, several

__all__ = ["ebops", "positions", "values"]


def positions(layer: Layer, size: int, window: int, axis: int, rank: int) -> list[list[tuple[int, int]]]:
    """Along one axis, for every output position its ``(tap, input position)`` pairs inside the data."""
    options = layer.options
    stride = several(options.get("strides") or options.get("pool_size", 1), rank)[axis]
    dilation = several(options.get("dilation_rate", 1), rank)[axis]
    reach = (window - 1) * dilation + 1
    padding = options.get("padding", "valid")
    count = ceil(size / stride) if padding in ("same", "causal") else (size - reach) // stride + 1
    before = {"valid": 0, "causal": reach - 1, "same": max((count - 1) * stride + reach - size, 0) // 2}[padding]
    return [
        [(tap, at) for tap in range(window) if 0 <= (at := start * stride + tap * dilation - before) < size]
        for start in range(count)
    ]


def _windows(layer: Layer, shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], list[tuple[int, ...]]]]:
    """Output position of a pooling layer and the input positions of its window."""
    rank = len(shape) - 1
    window = shape[:-1] if layer.kind.startswith("global") else several(layer.options["pool_size"], rank)
    axes = [positions(layer, n, w, axis, rank) for axis, (n, w) in enumerate(zip(shape, window, strict=False))]
    for place in product(*(range(len(axis)) for axis in axes)):
        inside = [axis[p] for axis, p in zip(axes, place, strict=True)]
        for c in range(shape[-1]):
            yield (*place, c), [(*(pair[1] for pair in pairs), c) for pairs in product(*inside)]


def _shape(layer: Layer, last: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the output, by the last position in it."""
    full = tuple(n + 1 for n in last)
    return full[-1:] if layer.kind.startswith("global") and not layer.options.get("keepdims") else full


def values(layer: Layer, inputs: list[Array]) -> Array:
    """Maximum or average of each window."""
    x = inputs[0]
    windows = list(_windows(layer, tuple(x.shape[1:])))
    y = np.full((len(x), *(n + 1 for n in windows[-1][0])), Fraction(0), dtype=object)
    for n, (position, members) in product(range(len(x)), windows):
        seen = [x[(n, *member)] for member in members]
        y[(n, *position)] = max(seen) if "max" in layer.kind else sum(seen) / len(seen)
    return y.reshape(len(x), *_shape(layer, windows[-1][0]))


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output."""
    bits, windows = bits_of(layer, "iq", shape), list(_windows(layer, shape))
    groups = [[int(bits[m]) for m in members] for _, members in windows]
    weight = Fraction(1) if "max" in layer.kind else ADD
    return weight * sum(sum(g) - min(g) for g in groups), _shape(layer, windows[-1][0])
