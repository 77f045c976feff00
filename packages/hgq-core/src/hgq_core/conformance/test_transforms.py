"""Group transforms: scaler, noise factor and affine map around a quantizer, a dummy included, and their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hgq_core.conformance import compare, expected
from hgq_core.conformance.backend import Backend, Mode
from hgq_core.conformance.cases_numbers import fixed_spec
from hgq_core.modes import Overflow, Round
from hgq_core.spec import Dummy, Float, Spec

pytestmark = pytest.mark.feature("transforms")

X = np.array([[2.625, -0.75, 0.3125], [-9.0, 1.40625, 4.5], [0.09375, -3.125, 11.0]], dtype=np.float32)
"""Numbers with few bits, so that every expectation below is a float32; some saturate in two integer bits."""
SIGN, INTEGER, FRACTION = 1, 2, 1
SCALERS = [0.5, 4.0, -2.0]
AFFINES = [(4.0, 0.25), (-0.5, -3.0)]


def saturating(**parameters: Any) -> Spec:
    """A format of two integer bits and one fraction bit that saturates."""
    return fixed_spec("kif", Round.RND, Overflow.SAT, i0=INTEGER, f0=FRACTION, **parameters)


def mixed(x: np.ndarray, q: np.ndarray, noise: float, affine: tuple[float, float]) -> np.ndarray:
    """``affine[0] * (x + noise * (q - x)) + affine[1]``, in float64, where these numbers are exact."""
    result: np.ndarray = affine[0] * (x + noise * (q.astype(np.float64) - x)) + affine[1]
    return result


def scaled(x: np.ndarray, scaler: float) -> np.ndarray:
    """``scaler * Q(x / scaler)`` of the saturating format."""
    return scaler * expected.fixed(x / np.float32(scaler), SIGN, INTEGER, FRACTION, Round.RND, Overflow.SAT).astype(
        np.float64
    )


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("scaler", SCALERS)
def test_scaler_then_affine_map(backend: Backend, scaler: float, affine: tuple[float, float], mode: Mode) -> None:
    quantizer = backend.quantizer(saturating(), (None, 3), scaler=scaler, affine=affine)
    wanted = mixed(X, scaled(X, scaler), 1.0, affine)
    compare.equal(quantizer.forward(X, mode), wanted, f"Quantizer({scaler=}, {affine=}).forward({mode})", X)


@pytest.mark.parametrize("noise", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("mode", Mode)
def test_noise_belongs_to_training(backend: Backend, mode: Mode, noise: float) -> None:
    """``x + n (q - x)``, with q after the scaler and before the affine map."""
    scaler, affine = 0.5, (4.0, 0.25)
    quantizer = backend.quantizer(saturating(), (None, 3), scaler=scaler, affine=affine, qnoise_factor=noise)
    wanted = mixed(X, scaled(X, scaler), noise if mode is Mode.TRAIN else 1.0, affine)
    call = f"Quantizer({scaler=}, {affine=}, qnoise_factor={noise}).forward({mode})"
    compare.equal(quantizer.forward(X, mode), wanted, call, X)


@pytest.mark.parametrize("scaler", [0.7, 3.0, -1.1])
def test_without_noise_training_gives_the_input_whatever_the_scaler(backend: Backend, scaler: float) -> None:
    """Dividing by these rounds; x itself is mixed, not what the division made of it."""
    x = np.random.default_rng(4).normal(size=(64, 3)).astype(np.float32)
    quantizer = backend.quantizer(saturating(), (None, 3), scaler=scaler, qnoise_factor=0.0)
    compare.equal(quantizer.forward(x, Mode.TRAIN), x, f"Quantizer({scaler=}, qnoise_factor=0).forward(train)", x)


def test_what_is_frozen_has_no_noise(backend: Backend) -> None:
    quantizer = backend.quantizer(saturating(trainable=False), (None, 3), scaler=0.5, qnoise_factor=0.25)
    call = "Quantizer(trainable=False, scaler=0.5, qnoise_factor=0.25).forward(train)"
    compare.equal(quantizer.forward(X, Mode.TRAIN), scaled(X, 0.5), call, X)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("affine", [None, *AFFINES])
@pytest.mark.parametrize("scaler", [None, 3.0, -0.5])
def test_of_a_dummy_the_affine_map_is_left(
    backend: Backend, scaler: float | None, affine: tuple[float, float] | None, mode: Mode
) -> None:
    quantizer = backend.quantizer(Dummy(), (None, 3), scaler=scaler, affine=affine, qnoise_factor=0.5)
    scale, shift = affine or (1.0, 0.0)
    call = f"Quantizer(dummy, {scaler=}, {affine=}, qnoise_factor=0.5).forward({mode})"
    compare.equal(quantizer.forward(X, mode), scale * X.astype(np.float64) + shift, call, X)


@pytest.mark.parametrize("mode", Mode)
def test_a_minifloat_is_scaled_as_well(backend: Backend, mode: Mode) -> None:
    spec = Float(m0=1, e0=3, homogeneous_axis=(0,))
    quantizer = backend.quantizer(spec, (None, 3), scaler=0.5, affine=(2.0, 1.0))
    wanted = expected.minifloats(X / np.float32(0.5), 1, 3, 0).astype(np.float64)
    call = f"Quantizer(float, scaler=0.5, affine=(2, 1)).forward({mode})"
    compare.equal(quantizer.forward(X, mode), wanted * 0.5 * 2.0 + 1.0, call, X)


@pytest.mark.parametrize("q_type", ["kif", "kbi"])
@pytest.mark.parametrize("mode", [Mode.TRAIN, Mode.CALIBRATE])
def test_the_range_is_that_of_what_was_divided(backend: Backend, mode: Mode, q_type: str) -> None:
    scaler, width = 4.0, 4
    quantizer = backend.quantizer(fixed_spec(q_type, Round.RND, Overflow.WRAP), (None, 3), scaler=scaler)
    quantizer.assign({"k": 1, "i": -12, ("f" if q_type == "kif" else "b"): width})
    quantizer.forward(X, mode)
    function = expected.integer_bits if q_type == "kif" else expected.integer_bits_kbi
    parts = (X / np.float32(scaler)).T
    i = np.array([[function(part.min(), part.max(), width, Round.RND) for part in parts]])
    call = f"Quantizer({q_type}, WRAP, {scaler=}).forward({mode})"
    compare.equal(quantizer.widths()["i"], i, f"{call}: stored i")
    f = np.full_like(i, width) if q_type == "kif" else width - i
    wanted = scaler * expected.only_rounded(X / np.float32(scaler), f, Round.RND).astype(np.float64)
    compare.equal(quantizer.forward(X, Mode.INFER), wanted, f"{call}, then INFER", X)


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("noise", [None, 0.25])
def test_gradients(backend: Backend, noise: float | None, scaler: float) -> None:
    """By the chain rule: of ``a (x + n (s Q(x / s) - x))`` to x and to the widths."""
    affine, n = (4.0, 0.25), 1.0 if noise is None else noise
    quantizer = backend.quantizer(saturating(), (None, 3), scaler=scaler, affine=affine, qnoise_factor=noise)
    g = np.arange(1, X.size + 1, dtype=np.float32).reshape(X.shape) - np.float32(4)
    inner = X / np.float32(scaler)
    xq = expected.fixed(inner, SIGN, INTEGER, FRACTION, Round.RND, Overflow.SAT)
    dq, di, df = expected.fixed_gradients(inner, xq, g, SIGN, INTEGER, FRACTION, Overflow.SAT)
    got = quantizer.gradients(X, g)
    call = f"gradients({scaler=}, {affine=}, qnoise_factor={noise})"
    compare.equal(got.xq, mixed(X, scaled(X, scaler), n, affine), f"{call}: output", X)
    compare.close(got.dx, affine[0] * (g * (1.0 - n) + n * dq), f"{call}: d/dx", X)
    for name, part in (("i", di), ("f", df)):
        wanted, scale = (affine[0] * n * scaler * p.sum(0, keepdims=True) for p in (part, np.abs(part)))
        compare.close(got.widths[name], wanted, f"{call}: d/d{name}", scale=np.abs(scale))


def test_nothing_of_it_is_counted(backend: Backend) -> None:
    plain = backend.quantizer(saturating(), (None, 3)).bits()
    surrounded = backend.quantizer(saturating(), (None, 3), scaler=0.5, affine=(4.0, 0.25), qnoise_factor=0.5).bits()
    compare.equal(surrounded, plain, "Quantizer(scaler=0.5, affine=(4, 0.25), qnoise_factor=0.5).bits()")
    compare.equal(backend.quantizer(Dummy(), (None, 3)).bits().sum(), np.zeros(()), "Quantizer(dummy).bits()")
