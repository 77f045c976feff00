"""Tables by their definition: a function of one number, rounded."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import exp, tanh

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.tensors import Array, bits_of, rounded_values

__all__ = ["ebops", "table_cost", "values"]

_FUNCTIONS: dict[str, Callable[[float], float]] = {"tanh": tanh, "sigmoid": lambda x: 1.0 / (1.0 + exp(-x))}


def values(layer: Layer, inputs: list[Array]) -> Array:
    """The function; the output quantizer follows."""
    function = _FUNCTIONS[layer.options["function"]]
    if "scale" not in layer.weights:
        return rounded_values(function, inputs[0])
    scale, bias = float(layer.weights["scale"][0]), float(layer.weights["bias"][0])
    return rounded_values(lambda v: function(v * scale + bias), inputs[0])


def table_cost(bits_in: Array, bits_out: Array) -> Fraction:
    """One ten-thousandth of the bits that the tables store."""
    pairs = zip(bits_in.ravel(), bits_out.ravel(), strict=True)
    return sum((Fraction(2) ** int(a) * int(b) for a, b in pairs), Fraction(0)) / 10000


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs and the shape of the output."""
    return table_cost(bits_of(layer, "iq", shape), bits_of(layer, "oq", shape)), shape
