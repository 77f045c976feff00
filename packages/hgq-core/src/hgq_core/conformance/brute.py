"""Layers by their definition: loops over fractions, for values and EBOPs; no code is shared with an implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from math import ceil, prod, sqrt, tanh
from math import exp as exponential
from typing import Any

import numpy as np

from hgq_core.conformance import expected
from hgq_core.conformance.backend import Layer
from hgq_core.spec import KBI, KIF

__all__ = ["forward", "total_ebops"]

Array = np.ndarray
ADD = Fraction(65, 100)
FUNCTIONS: dict[str, Callable[[float], float]] = {"tanh": tanh, "sigmoid": lambda x: 1.0 / (1.0 + exponential(-x))}


@dataclass(slots=True)
class _Term:
    """What one product or sum reads: positions in the data (batch left out) and in the kernel."""

    output: tuple[int, ...]
    data: tuple[int, ...]
    kernel: tuple[int, ...]


@dataclass(slots=True)
class _Linear:
    """A linear layer written out: every product, the shape of its output, and how many instances it has."""

    terms: list[_Term]
    shape: tuple[int, ...]
    instances: int
    bias_of: Callable[[tuple[int, ...]], tuple[int, ...]] = field(default=lambda position: position[-1:])


def formats(layer: Layer, name: str, shape: Sequence[int]) -> tuple[Array, Array, Array]:
    """``k, i, f`` of each element of a tensor of this shape, from the widths that the case stores."""
    stored = layer.widths[name]
    k, i = np.broadcast_to(stored["k"], shape), np.broadcast_to(stored["i"], shape)
    f = np.broadcast_to(stored["f"], shape) if "f" in stored else np.broadcast_to(stored["b"], shape) - i
    return k, i, f


def _modes(layer: Layer, name: str) -> Any:
    spec = layer.quantizers[name]
    if not isinstance(spec, KIF | KBI):
        message = f"the case is at fault: {name} is no fixed-point quantizer"
        raise TypeError(message)
    return spec.round_mode, spec.overflow_mode


def _quantized(layer: Layer, name: str, x: Array) -> Array:
    """The tensor through the quantizer of this name; unchanged if there is none."""
    if name not in layer.quantizers:
        return x
    leading = (1, *x.shape[1:]) if name in ("iq", "oq") else x.shape
    k, i, f = formats(layer, name, leading)
    round_mode, overflow_mode = _modes(layer, name)
    return expected.fixed(x, k, i, f, round_mode, overflow_mode)


def _bits(layer: Layer, name: str, shape: Sequence[int]) -> Array:
    _, overflow_mode = _modes(layer, name)
    full = (1, *shape) if name in ("iq", "oq") else tuple(shape)
    bits = expected.counted_bits(*formats(layer, name, full), overflow_mode)
    return bits[0] if name in ("iq", "oq") else bits


def _dense(layer: Layer, shape: tuple[int, ...]) -> _Linear:
    units = layer.options["units"]
    rows = list(product(*map(range, shape[:-1])))
    terms = [_Term((*r, o), (*r, i), (i, o)) for r in rows for i in range(shape[-1]) for o in range(units)]
    return _Linear(terms, (*shape[:-1], units), len(rows))


def _einsum(layer: Layer, shape: tuple[int, ...]) -> _Linear:
    data, kernel, output = layer.options["equation"].replace("->", ",").split(",")
    sizes = dict(zip(kernel, layer.weights["kernel"].shape, strict=True)) | dict(zip(data[1:], shape, strict=True))
    letters = sorted(sizes)
    terms = []
    for values in product(*(range(sizes[c]) for c in letters)):
        at = dict(zip(letters, values, strict=True))
        terms.append(_Term(*(tuple(at[c] for c in term if c != data[0]) for term in (output, data, kernel))))
    axes = layer.options.get("bias_axes", "")
    first = min((output.index(c) for c in axes), default=len(output)) - 1

    def bias_of(position: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(p if output[n + 1] in axes else 0 for n, p in enumerate(position) if n >= first)

    instances = prod(sizes[c] for c in data[1:] if c in output and c not in kernel)
    return _Linear(terms, tuple(sizes[c] for c in output[1:]), instances, bias_of)


def _several(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _positions(layer: Layer, size: int, window: int, axis: int, rank: int) -> list[list[tuple[int, int]]]:
    """Along one axis, for every output position its ``(tap, input position)`` pairs inside the data."""
    options = layer.options
    stride = _several(options.get("strides") or options.get("pool_size", 1), rank)[axis]
    dilation = _several(options.get("dilation_rate", 1), rank)[axis]
    reach = (window - 1) * dilation + 1
    padding = options.get("padding", "valid")
    count = ceil(size / stride) if padding in ("same", "causal") else (size - reach) // stride + 1
    before = {"valid": 0, "causal": reach - 1, "same": max((count - 1) * stride + reach - size, 0) // 2}[padding]
    return [
        [(tap, at) for tap in range(window) if 0 <= (at := start * stride + tap * dilation - before) < size]
        for start in range(count)
    ]


def _conv(layer: Layer, shape: tuple[int, ...]) -> _Linear:
    *window, channels, filters = layer.weights["kernel"].shape
    rank, per_group = len(window), filters // layer.options.get("groups", 1)
    axes = [_positions(layer, n, w, axis, rank) for axis, (n, w) in enumerate(zip(shape, window, strict=False))]
    terms = []
    for place in product(*(range(len(axis)) for axis in axes)):
        for pairs in product(*(axis[p] for axis, p in zip(axes, place, strict=True))):
            taps, ats = tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)
            for o, c in product(range(filters), range(channels)):
                group = o // per_group
                terms.append(_Term((*place, o), (*ats, group * channels + c), (*taps, c, o)))
    out = tuple(len(axis) for axis in axes)
    return _Linear(terms, (*out, filters), prod(out))


_LINEAR = {"dense": _dense, "einsum_dense": _einsum, "conv1d": _conv, "conv2d": _conv}


def _windows(layer: Layer, shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], list[tuple[int, ...]]]]:
    """Output position of a pooling layer and the input positions of its window."""
    window = _several(layer.options["pool_size"], 2)
    axes = [_positions(layer, n, w, axis, 2) for axis, (n, w) in enumerate(zip(shape, window, strict=False))]
    for place in product(*(range(len(axis)) for axis in axes)):
        inside = [axis[p] for axis, p in zip(axes, place, strict=True)]
        for c in range(shape[-1]):
            yield (*place, c), [(*(pair[1] for pair in pairs), c) for pairs in product(*inside)]


def _affine(layer: Layer) -> tuple[Array, Array]:
    """Scale and offset of batch_norm, not quantized yet."""
    w = {name: value.astype(np.float64) for name, value in layer.weights.items()}
    roots = np.array([sqrt(v + layer.options["epsilon"]) for v in w["moving_variance"]])
    scale = w["gamma"] / roots
    return scale, w["beta"] - w["moving_mean"] * scale


def _compute(layer: Layer, inputs: Sequence[Array]) -> Array:
    x = inputs[0]
    shape, batch = tuple(x.shape[1:]), range(len(x))
    if layer.kind in _LINEAR:
        linear = _LINEAR[layer.kind](layer, shape)
        kernel = _quantized(layer, "kq", layer.weights["kernel"])
        y = np.full((len(x), *linear.shape), Fraction(0), dtype=object)
        if "bias" in layer.weights:
            bias = _quantized(layer, "bq", layer.weights["bias"])
            for n, position in product(batch, product(*map(range, linear.shape))):
                y[(n, *position)] = bias[linear.bias_of(position)]
        for n, term in product(batch, linear.terms):
            y[(n, *term.output)] += x[(n, *term.data)] * kernel[term.kernel]
        return y
    if layer.kind in ("max_pool2d", "average_pool2d"):
        windows = list(_windows(layer, shape))
        y = np.full((len(x), *(n + 1 for n in windows[-1][0])), Fraction(0), dtype=object)
        for n, (position, members) in product(batch, windows):
            values = [x[(n, *member)] for member in members]
            y[(n, *position)] = max(values) if layer.kind == "max_pool2d" else sum(values) / len(values)
        return y
    if layer.kind == "batch_norm":
        scale, offset = (_quantized(layer, q, part) for q, part in zip(("kq", "bq"), _affine(layer), strict=True))
        return np.asarray(x * scale + offset)
    if layer.kind == "add":
        return np.asarray(inputs[0] + inputs[1])
    if layer.kind == "unary_lut":
        function = FUNCTIONS[layer.options["function"]]
        return np.asarray(np.vectorize(lambda v: Fraction(function(float(v))), otypes=[object])(x))
    return x.reshape(len(x), -1)


def forward(layers: Sequence[Layer], inputs: Sequence[Array]) -> Array:
    """The output of a chain of layers at inference, as fractions."""
    current: list[Array] = [np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(x) for x in inputs]
    for layer in layers:
        y = _compute(layer, [_quantized(layer, "iq", x) for x in current])
        if layer.options.get("activation") == "relu":
            y = np.vectorize(lambda v: max(v, Fraction(0)), otypes=[object])(y)
        current = [_quantized(layer, "oq", y)]
    return current[0]


def _ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs of one layer, one product after another, and the shape of its output."""
    if layer.kind == "flatten":
        return Fraction(0), (prod(shape),)
    bits = _bits(layer, "iq", shape)
    if layer.kind in _LINEAR:
        linear = _LINEAR[layer.kind](layer, shape)
        kernel = _bits(layer, "kq", layer.weights["kernel"].shape)
        total = sum(int(bits[t.data]) * int(kernel[t.kernel]) for t in linear.terms)
        if "bias" in layer.weights:
            bias = _bits(layer, "bq", layer.weights["bias"].shape)
            total += sum(int(bias[linear.bias_of(p)]) for p in product(*map(range, linear.shape)))
        built = layer.options.get("parallelization_factor", -1)
        return Fraction(total) * Fraction(linear.instances if built == -1 else built, linear.instances), linear.shape
    if layer.kind in ("max_pool2d", "average_pool2d"):
        windows = list(_windows(layer, shape))
        groups = [[int(bits[m]) for m in members] for _, members in windows]
        weight = ADD if layer.kind == "average_pool2d" else Fraction(1)
        return weight * sum(sum(g) - min(g) for g in groups), tuple(n + 1 for n in windows[-1][0])
    if layer.kind == "batch_norm":
        scale, offset = (_bits(layer, q, layer.weights["gamma"].shape) for q in ("kq", "bq"))
        cells = product(*map(range, shape))
        return Fraction(sum(int(bits[c]) * int(scale[c[-1:]]) + int(offset[c[-1:]]) for c in cells)), shape
    if layer.kind == "add":
        return ADD * int(bits.sum()), shape  # Two equal operands: the smaller one is as wide as the other.
    out = _bits(layer, "oq", shape)
    return sum(
        (Fraction(2) ** int(a) * int(b) for a, b in zip(bits.ravel(), out.ravel(), strict=True)), Fraction(0)
    ) / 10000, shape


def total_ebops(layers: Sequence[Layer], input_shape: tuple[int, ...]) -> float:
    """EBOPs of a chain of layers."""
    total, shape = Fraction(0), input_shape
    for layer in layers:
        cost, shape = _ebops(layer, shape)
        total += cost
    return float(total)
