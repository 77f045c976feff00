"""Group minifloat: values against the oracle, and the gradients that the specification fixes."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import product
from math import log

import numpy as np
import pytest

from hgq_core.conformance import compare, expected
from hgq_core.conformance.backend import Backend, Mode, Quantizer
from hgq_core.formats import MiniFloat
from hgq_core.spec import Float

pytestmark = pytest.mark.feature("minifloat")

FORMATS = [MiniFloat(m, e, e0) for m, e, e0 in product((0, 1, 2, 3, 8), (1, 2, 3, 4), (-3, 0, 2))]
"""Without exponent bits a minifloat is a fixed-point number; the cases of that are apart."""


def inputs_for(fmt: MiniFloat) -> list[float]:
    """Ties among normal and subnormal numbers, powers of two, the smallest and largest values, and beyond them."""
    step, highest = fmt.step, fmt.highest
    values = [n * step / 4 for n in range(-6, 7)]
    values += [highest * Fraction(n, 16) for n in (-32, -17, -16, -15, 15, 16, 17, 64)]
    for exponent in range(fmt.exponents[0] - 1, fmt.exponents[1] + 1):
        power, unit = Fraction(2) ** exponent, Fraction(2) ** (exponent - max(fmt.m, 0))
        values += [power, power + unit / 2, power + unit * 3 / 4, power * 2 - unit / 2, -power - unit / 2]
    values += [Fraction(1, 3), Fraction(-2, 7), Fraction(10)]
    padded = (values + [Fraction(0)] * 120)[:120]
    return [float(np.float32(float(v))) for v in padded]


@cache
def table() -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Inputs ``(inputs, formats)``, stored widths ``(1, formats)`` and expected values."""
    x = np.array([inputs_for(fmt) for fmt in FORMATS], dtype=np.float32).T
    widths = {name: np.array([[getattr(fmt, name) for fmt in FORMATS]]) for name in ("m", "e", "e0")}
    return x, widths, expected.minifloats(x, **widths)


def make(backend: Backend, count: int) -> Quantizer:
    return backend.quantizer(Float(mc=None, ec=None, e0c=None, homogeneous_axis=(0,)), (None, count))


@pytest.mark.parametrize("mode", Mode)
def test_values(backend: Backend, mode: Mode) -> None:
    x, widths, wanted = table()
    quantizer = make(backend, len(FORMATS))
    quantizer.assign(widths)
    compare.equal(quantizer.forward(x, mode), wanted, f"minifloat.forward({mode}) of the formats side by side", x)


@pytest.mark.parametrize("m", [0, 2, 5])
def test_without_exponent_bits(backend: Backend, m: int) -> None:
    x = np.linspace(-5, 5, 41, dtype=np.float32)[:, None]
    quantizer = make(backend, 1)
    quantizer.assign({"m": m, "e": 0, "e0": 0})
    compare.equal(quantizer.forward(x, Mode.INFER), expected.minifloats(x, m, 0, 0), f"minifloat m={m}, e=0", x)


def test_mantissa_of_minus_one_is_zero(backend: Backend) -> None:
    x = np.linspace(-300, 300, 41, dtype=np.float32)[:, None]
    quantizer = make(backend, 1)
    quantizer.assign({"m": -1, "e": 4, "e0": 0})
    compare.equal(quantizer.forward(x, Mode.INFER), np.zeros_like(x), "minifloat m=-1", x)


def test_stored_widths_are_read_half_to_even(backend: Backend) -> None:
    stored = np.array([[1.5, 2.5, 2.4, 3.5]])
    quantizer = make(backend, 4)
    quantizer.assign({"m": stored, "e": stored, "e0": -stored})
    x = np.linspace(-9, 9, 64, dtype=np.float32).reshape(16, 4)
    widths = {"m": expected.read(stored), "e": expected.read(stored), "e0": expected.read(-stored)}
    compare.equal(quantizer.forward(x, Mode.INFER), expected.minifloats(x, **widths), "minifloat, fractional widths", x)
    compare.equal(quantizer.bits(), widths["m"] + widths["e"] + 1, "minifloat.bits()")


def test_gradients(backend: Backend) -> None:
    x, widths, xq = table()
    g = np.random.default_rng(4).normal(size=x.shape).astype(np.float32)
    quantizer = make(backend, len(FORMATS))
    quantizer.assign(widths)
    got = quantizer.gradients(x, g)
    inside = np.abs(x) <= np.array([[float(fmt.highest) for fmt in FORMATS]])
    compare.equal(got.xq, xq, "minifloat gradients: output", x)
    compare.close(got.dx, np.where(inside, g, 0), "minifloat gradients: d/dx is 1 inside and 0 where saturated", x)


@pytest.mark.parametrize("fmt", FORMATS[::7], ids=str)
def test_mantissa_gradient_is_the_residual(backend: Backend, fmt: MiniFloat) -> None:
    x = np.array(inputs_for(fmt), dtype=np.float32)[:, None]
    x = np.where(np.abs(x) <= float(fmt.highest), x, np.float32(0.0))
    g = np.random.default_rng(4).normal(size=x.shape).astype(np.float32)
    quantizer = make(backend, 1)
    quantizer.assign({"m": fmt.m, "e": fmt.e, "e0": fmt.e0})
    residual = x - expected.minifloats(x, fmt.m, fmt.e, fmt.e0).astype(np.float64)
    elements = g * log(2.0) * residual
    got = quantizer.gradients(x, g)
    total = elements.sum(0, keepdims=True)
    compare.close(got.widths["m"], total, f"{fmt}: d/dm inside the range", scale=np.abs(elements).sum())


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_saturated_exponent_gradients_push_outward(backend: Backend, sign: float) -> None:
    quantizer = make(backend, 1)
    quantizer.assign({"m": 2, "e": 3, "e0": 0})
    x = np.full((4, 1), 1000.0 * sign, dtype=np.float32)
    got = quantizer.gradients(x, np.full_like(x, sign))
    for name in ("e", "e0"):
        gradient = got.widths[name]
        compare.equal(np.asarray(gradient) > 0, [[True]], f"minifloat saturated at {x[0, 0]}: sign of d/d{name}")
