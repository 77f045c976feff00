"""Batch normalisation by its definition."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import sqrt

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.tensors import Array, bits_of, quantized

__all__ = ["ebops", "values"]


def _affine(layer: Layer) -> tuple[Array, Array]:
    """Scale and offset of batch_norm, not quantized yet."""
    w = {name: value.astype(np.float64) for name, value in layer.weights.items()}
    roots = np.array([sqrt(v + layer.options["epsilon"]) for v in w["moving_variance"]])
    scale = w["gamma"] / roots
    return scale, w["beta"] - w["moving_mean"] * scale


def values(layer: Layer, inputs: list[Array]) -> Array:
    """Scaled and shifted by quantized numbers."""
    scale, offset = (quantized(layer, name, part) for name, part in zip(("kq", "bq"), _affine(layer), strict=True))
    return np.asarray(inputs[0] * scale + offset)


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output."""
    bits = bits_of(layer, "iq", shape)
    scale, offset = (bits_of(layer, name, layer.weights["gamma"].shape) for name in ("kq", "bq"))
    cells = product(*map(range, shape))
    return Fraction(sum(int(bits[c]) * int(scale[c[-1:]]) + int(offset[c[-1:]]) for c in cells)), shape
