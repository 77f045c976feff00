"""Spiking layers by their definition: membranes one by one, in fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.tensors import ADD, Array, bits_of, quantized

__all__ = ["ebops", "values"]


def _number(layer: Layer, name: str, slot: str) -> Fraction:
    if name not in layer.weights:
        return Fraction(1)
    exact = np.array([Fraction(float(layer.weights[name][0]))], dtype=object)
    held: Any = quantized(layer, slot, exact)
    return Fraction(held[0])


def _fires(layer: Layer, membranes: Array, threshold: Fraction) -> list[list[bool]]:
    fired = []
    for row in membranes:
        highest = max(row)
        fired.append([u > threshold and (not layer.options.get("inhibition") or u == highest) for u in row])
    return fired


def values(layer: Layer, inputs: list[Array]) -> Array:
    """The spikes of all steps, or those of the last."""
    options = layer.options
    x = inputs[0][:, ::-1] if options.get("go_backwards") else inputs[0]
    x = quantized(layer, "iq", x)
    leak, threshold = _number(layer, "leak", "lkq"), _number(layer, "level", "thq")
    grade, reset = _number(layer, "grade", "grq"), options.get("reset_mechanism", "subtract")
    membranes = np.full((len(x), options["units"]), Fraction(0), dtype=object)
    spikes = []
    for step in range(x.shape[1]):
        before = _fires(layer, membranes, threshold)
        following = membranes * leak + x[:, step]
        for n, row in enumerate(before):
            for unit, fired in enumerate(row):
                if fired and reset == "subtract":
                    following[n, unit] -= threshold
                if fired and reset == "zero":
                    following[n, unit] = Fraction(0)
        membranes = quantized(layer, "sq", following)
        now = _fires(layer, membranes, threshold)
        spikes.append(np.array([[grade if fired else Fraction(0) for fired in row] for row in now], dtype=object))
    return np.stack(spikes, 1) if options.get("return_sequences") else spikes[-1]


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs of a step times the steps that are built, and the shape of the output."""
    (steps, units), options = shape, layer.options
    membrane = [int(n) for n in bits_of(layer, "sq", (units,))]
    (level,) = (int(n) for n in bits_of(layer, "thq", (1,)))
    total = Fraction(sum(max(n, level) for n in membrane))
    if layer.kind == "lif":
        (leak,) = (int(n) for n in bits_of(layer, "lkq", (1,)))
        total += sum(n * leak for n in membrane)
    else:
        entering = [int(n) for n in bits_of(layer, "iq", (units,))]
        total += ADD * sum(max(a, b) for a, b in zip(membrane, entering, strict=True))
    if options.get("inhibition"):
        total += sum(membrane) - min(membrane) + units * max(membrane)
    built = options.get("parallelization_factor", -1)
    total *= steps if built < 0 else built
    return total, ((steps, units) if options.get("return_sequences") else (units,))
