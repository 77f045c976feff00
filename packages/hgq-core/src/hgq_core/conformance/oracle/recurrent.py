"""Recurrent layers by their definition: loops over steps, gates and fractions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import prod, tanh
from typing import Any

import numpy as np

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.oracle.lookup import table_cost
from hgq_core.conformance.oracle.tensors import Array, bits_of, quantized, rounded_values

__all__ = ["ebops", "values"]

_GATES = {"simple_rnn": 1, "gru": 3, "lstm": 4}


def _weight(layer: Layer, name: str, slot: str) -> Array:
    exact: Any = np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(layer.weights[name])
    return quantized(layer, slot, exact)


def _recurrent_kernel(layer: Layer) -> Array:
    """The kernel of the state; that of a candidate behind a reset gate has a quantizer of its own."""
    if "rckq" not in layer.quantizers:
        return _weight(layer, "recurrent_kernel", "rkq")
    cut = 2 * layer.options["units"]
    exact: Any = np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(layer.weights["recurrent_kernel"])
    return np.concatenate([quantized(layer, "rkq", exact[:, :cut]), quantized(layer, "rckq", exact[:, cut:])], 1)


def _added(layer: Layer, name: str, slot: str, size: int) -> Array:
    return _weight(layer, name, slot) if name in layer.weights else np.full(size, Fraction(0), dtype=object)


def _times(x: Array, kernel: Array) -> Array:
    """``x @ kernel``, product by product."""
    y = np.full((len(x), kernel.shape[1]), Fraction(0), dtype=object)
    for row, out in np.ndindex(*y.shape):
        y[row, out] = sum((x[row, n] * kernel[n, out] for n in range(kernel.shape[0])), Fraction(0))
    return y


def _activated(layer: Layer, slot: str, y: Array) -> Array:
    y = quantized(layer, slot, y)
    kind = layer.options.get("activation")
    if kind == "relu" and slot in ("paq", "caq"):
        return np.asarray(np.vectorize(lambda v: max(v, Fraction(0)), otypes=[object])(y))
    if kind == "tanh" and slot in ("paq", "caq"):
        return quantized(layer, f"{slot}_oq", rounded_values(tanh, y))
    return y


def values(layer: Layer, inputs: list[Array]) -> Array:
    """The outputs of all steps, or that of the last."""
    x, options = inputs[0], layer.options
    if options.get("go_backwards"):
        x = x[:, ::-1]
    x, units = quantized(layer, "iq", x), options["units"]
    kernel = _weight(layer, "kernel", "kq")
    bias = _added(layer, "bias", "bq", kernel.shape[1])
    states = [np.full((len(x), units), Fraction(0), dtype=object)] * (2 if layer.kind == "lstm" else 1)
    ys = []
    for step in range(x.shape[1]):
        states = _STEPS[layer.kind](layer, _times(x[:, step], kernel) + bias, *states)
        ys.append(states[0])
    return np.stack(ys, 1) if options.get("return_sequences") else ys[-1]


def _simple(layer: Layer, x: Array, h: Array) -> list[Array]:
    h = quantized(layer, "sq", h)
    return [_activated(layer, "paq", x + _times(h, _recurrent_kernel(layer)))]


def _gru(layer: Layer, x: Array, h: Array) -> list[Array]:
    units, recurrent = layer.options["units"], _recurrent_kernel(layer)
    h = quantized(layer, "sq", h)
    after = layer.options.get("reset_after", True)
    hidden = _times(h, recurrent) + (_added(layer, "recurrent_bias", "rbq", 3 * units) if after else Fraction(0))
    gates = _activated(layer, "praq", x[:, : 2 * units] + hidden[:, : 2 * units])
    z, r = gates[:, :units], gates[:, units:]
    if after:
        inner = r * quantized(layer, "rhq", hidden[:, 2 * units :])
    else:
        inner = _times(quantized(layer, "rhq", r * h), recurrent[:, 2 * units :])
    candidate = _activated(layer, "paq", x[:, 2 * units :] + inner)
    return [z * h + (1 - z) * candidate]


def _lstm(layer: Layer, x: Array, h: Array, c: Array) -> list[Array]:
    units = layer.options["units"]
    y = x + _times(quantized(layer, "sq", h), _recurrent_kernel(layer))
    i, f, g, o = (y[:, n * units : (n + 1) * units] for n in range(4))
    gates = _activated(layer, "praq", np.concatenate([i, f, o], 1))
    i, f, o = (gates[:, n * units : (n + 1) * units] for n in range(3))
    c = f * quantized(layer, "csq", c) + i * _activated(layer, "paq", g)
    return [o * _activated(layer, "caq", c), c]


_STEPS: dict[str, Callable[..., list[Array]]] = {"simple_rnn": _simple, "gru": _gru, "lstm": _lstm}


def _products(rows: Array, kernel: Array) -> int:
    return int(sum(int(a) * int(b) for n, a in enumerate(rows) for b in kernel[n]))


def _together(*parts: Array) -> int:
    return int(sum(prod(int(n) for n in bits) for bits in zip(*parts, strict=True)))


def ebops(layer: Layer, shape: tuple[int, ...]) -> tuple[Fraction, tuple[int, ...]]:
    """EBOPs of a step times the steps that are built, and the shape of the output."""
    (steps, features), options = shape, layer.options
    units = options["units"]

    def bits(slot: str, size: int) -> Array:
        return bits_of(layer, slot, (size,))

    kernel = bits_of(layer, "kq", (features, _GATES[layer.kind] * units))
    total = Fraction(_products(bits("iq", features), kernel))
    for slot, name in (("bq", "bias"), ("rbq", "recurrent_bias")):
        if name in layer.weights:
            total += sum(int(n) for n in bits(slot, len(layer.weights[name])))
    has_table = options.get("activation") == "tanh"
    state = bits("sq" if "sq" in layer.quantizers else "paq_oq" if has_table else "paq", units)
    if "rckq" in layer.quantizers:
        total += _products(state, bits_of(layer, "rkq", (units, 2 * units)))
        total += _products(bits("rhq", units), bits_of(layer, "rckq", (units, units)))
    else:
        total += _products(state, bits_of(layer, "rkq", (units, _GATES[layer.kind] * units)))
    candidate = bits("paq_oq" if has_table else "paq", units)
    if has_table:
        for slot in ("paq", "caq") if layer.kind == "lstm" else ("paq",):
            total += table_cost(bits(slot, units), bits(f"{slot}_oq", units))
    if layer.kind == "gru":
        gates = bits("praq", 2 * units)
        total += _together(gates[units:], state if "rckq" in layer.quantizers else bits("rhq", units))
        total += _together(gates[:units], state) + _together(gates[:units], candidate)
    if layer.kind == "lstm":
        gates = bits("praq", 3 * units)
        i, f, o = (gates[n * units : (n + 1) * units] for n in range(3))
        total += _together(f, bits("csq", units)) + _together(i, candidate)
        total += _together(o, bits("caq_oq" if has_table else "caq", units))
    built = options.get("parallelization_factor", -1)
    total *= steps if built < 0 else built
    return total, ((steps, units) if options.get("return_sequences") else (units,))
