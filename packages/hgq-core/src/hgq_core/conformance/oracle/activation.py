"""Activations of straight lines by their definition, number by number."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.tensors import Array

__all__ = ["applied", "ebops", "values"]

_LIMITS: dict[str, tuple[int, int]] = {"relu6": (0, 6), "hard_tanh": (-1, 1)}


def _of_one(form: Any, v: Fraction) -> Fraction:
    if form == "linear":
        return v
    if form == "relu":
        return v if v > 0 else Fraction(0)
    if isinstance(form, str):
        low, high = _LIMITS[form]
        return Fraction(low) if v < low else Fraction(high) if v > high else v
    begins, slope = Fraction(form.get("threshold", 0.0)), Fraction(form.get("slope", 0.0))
    if v <= begins:
        return slope * (v - begins)
    if "limit" not in form:
        return v
    return min(max(v, Fraction(0)), Fraction(form["limit"]))


def applied(form: Any, y: Array) -> Array:
    """The activation of a case on each element; None leaves it."""
    return y if form is None else np.asarray(np.vectorize(lambda v: _of_one(form, v), otypes=[object])(y))


def values(layer: Layer, inputs: list[Array]) -> Array:
    """Element by element."""
    return applied(layer.options["function"], inputs[0])


def ebops(_layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """Nothing, and the shape."""
    return Fraction(0), shape
