"""Dense layers, einsum and convolution by their definition: every product written out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from math import prod

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.tensors import Array, bits_of, quantized
from hgq_core.conformance.oracle.windows import positions

__all__ = ["ebops", "values"]


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


def _conv(layer: Layer, shape: tuple[int, ...]) -> _Linear:
    *window, channels, filters = layer.weights["kernel"].shape
    rank, per_group = len(window), filters // layer.options.get("groups", 1)
    axes = [positions(layer, n, w, axis, rank) for axis, (n, w) in enumerate(zip(shape, window, strict=False))]
    terms = []
    for place in product(*(range(len(axis)) for axis in axes)):
        for pairs in product(*(axis[p] for axis, p in zip(axes, place, strict=True))):
            taps, ats = tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)
            for o, c in product(range(filters), range(channels)):
                group = o // per_group
                terms.append(_Term((*place, o), (*ats, group * channels + c), (*taps, c, o)))
    out = tuple(len(axis) for axis in axes)
    return _Linear(terms, (*out, filters), prod(out))


_WRITTEN_OUT: dict[str, Callable[[Layer, tuple[int, ...]], _Linear]] = {
    "dense": _dense,
    "einsum_dense": _einsum,
    "conv1d": _conv,
    "conv2d": _conv,
    "conv3d": _conv,
}


def values(layer: Layer, inputs: list[Array]) -> Array:
    """The output, before the activation."""
    x = inputs[0]
    linear = _WRITTEN_OUT[layer.kind](layer, tuple(x.shape[1:]))
    kernel = quantized(layer, "kq", layer.weights["kernel"])
    y = np.full((len(x), *linear.shape), Fraction(0), dtype=object)
    if "bias" in layer.weights:
        bias = quantized(layer, "bq", layer.weights["bias"])
        for n, position in product(range(len(x)), product(*map(range, linear.shape))):
            y[(n, *position)] = bias[linear.bias_of(position)]
    for n, term in product(range(len(x)), linear.terms):
        y[(n, *term.output)] += x[(n, *term.data)] * kernel[term.kernel]
    return y


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output."""
    bits, linear = bits_of(layer, "iq", shape), _WRITTEN_OUT[layer.kind](layer, shape)
    kernel = bits_of(layer, "kq", layer.weights["kernel"].shape)
    total = sum(int(bits[t.data]) * int(kernel[t.kernel]) for t in linear.terms)
    if "bias" in layer.weights:
        bias = bits_of(layer, "bq", layer.weights["bias"].shape)
        total += sum(int(bias[linear.bias_of(p)]) for p in product(*map(range, linear.shape)))
    built = layer.options.get("parallelization_factor", -1)
    return Fraction(total) * Fraction(linear.instances if built == -1 else built, linear.instances), linear.shape
