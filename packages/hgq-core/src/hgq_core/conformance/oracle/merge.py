"""Sums of several tensors by their definition."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.tensors import ADD, Array, bits_of

__all__ = ["ebops", "values"]


def values(layer: Layer, inputs: list[Array]) -> Array:
    """The sum."""
    return np.asarray(inputs[0] + inputs[1])


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output: of two equal operands the smaller one is as wide as the other."""
    return ADD * int(bits_of(layer, "iq", shape).sum()), shape
