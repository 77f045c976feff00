"""Formats, rounding and counted widths of the tensors of a case, element by element."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from hgq_core.conformance import expected
from hgq_core.conformance.backend import Layer
from hgq_core.spec import KBI, KIF

__all__ = ["ADD", "Array", "bits_of", "quantized", "rounded_values", "several"]

Array = np.ndarray
ADD = Fraction(65, 100)
"""EBOPs of an adder per bit."""
_WEIGHTS = ("kq", "bq", "rkq", "rckq", "rbq", "dkq", "pkq", "lkq", "thq", "grq")


def _formats(layer: Layer, name: str, shape: Sequence[int]) -> tuple[Array, Array, Array]:
    """``k, i, f`` of each element of a tensor of this shape, from the widths that the case stores."""
    stored = layer.widths[name]
    k, i = np.broadcast_to(stored["k"], shape), np.broadcast_to(stored["i"], shape)
    f = np.broadcast_to(stored["f"], shape) if "f" in stored else np.broadcast_to(stored["b"], shape) - i
    return k, i, f


def _is_weight(name: str) -> bool:
    """Whether this quantizes a weight, which has no batch axis, in a part of a layer too."""
    return name.rsplit("/", maxsplit=1)[-1] in _WEIGHTS


def _modes(layer: Layer, name: str) -> Any:
    spec = layer.quantizers[name]
    if not isinstance(spec, KIF | KBI):
        message = f"the case is at fault: {name} is no fixed-point quantizer"
        raise TypeError(message)
    return spec.round_mode, spec.overflow_mode


def quantized(layer: Layer, name: str, x: Array) -> Array:
    """The tensor through the quantizer of this name; unchanged if there is none."""
    if name not in layer.quantizers:
        return x
    k, i, f = _formats(layer, name, x.shape if _is_weight(name) else (1, *x.shape[1:]))
    round_mode, overflow_mode = _modes(layer, name)
    return expected.fixed(x, k, i, f, round_mode, overflow_mode)


def bits_of(layer: Layer, name: str, shape: Sequence[int]) -> Array:
    """Widths that EBOPs counts, of this shape, which is without the batch axis."""
    _, overflow_mode = _modes(layer, name)
    full = tuple(shape) if _is_weight(name) else (1, *shape)
    bits = expected.counted_bits(*_formats(layer, name, full), overflow_mode)
    return bits if _is_weight(name) else bits[0]


def rounded_values(function: Any, x: Array) -> Array:
    """A function of one number on each element, as fractions of its float64 results."""
    return np.asarray(np.vectorize(lambda v: Fraction(function(float(v))), otypes=[object])(x))


def several(value: Any, rank: int) -> tuple[int, ...]:
    """One number for each axis."""
    return (value,) * rank if isinstance(value, int) else tuple(value)
