"""Group gradients: the framework's own differentiation against the closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hgq_core.conformance import compare, expected
from hgq_core.conformance.backend import Backend
from hgq_core.conformance.cases_numbers import fixed_spec, format_arrays, stored_widths
from hgq_core.modes import Overflow, Round

pytestmark = pytest.mark.feature("gradients")

Q_TYPES = ["kif", "kbi"]
_BIG = 1.0e5


def upstream(shape: tuple[int, ...]) -> np.ndarray:
    """Fixed upstream gradients of both signs and different sizes."""
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def data() -> tuple[np.ndarray, Any, Any, Any]:
    """All formats side by side, without the numbers whose size would drown every other one in a sum."""
    x, k, i, f = format_arrays()
    return np.where(np.abs(x) < _BIG, x, np.float32(0.3)).astype(np.float32), k, i, f


@pytest.mark.parametrize("q_type", Q_TYPES)
@pytest.mark.parametrize("round_mode", Round)
@pytest.mark.parametrize("overflow_mode", [Overflow.SAT, Overflow.SAT_SYM])
def test_saturation(backend: Backend, overflow_mode: Overflow, round_mode: Round, q_type: str) -> None:
    x, k, i, f = data()
    g = upstream(x.shape)
    quantizer = backend.quantizer(fixed_spec(q_type, round_mode, overflow_mode), (None, x.shape[1]))
    quantizer.assign(stored_widths(q_type, k, i, f))
    got = quantizer.gradients(x, g)
    xq = expected.fixed(x, k, i, f, round_mode, overflow_mode)
    dx, di, df = expected.fixed_gradients(x, xq, g, k, i, f, overflow_mode)
    call = f"gradients({q_type}, {round_mode}, {overflow_mode})"
    compare.equal(got.xq, xq, f"{call}: output", x)
    compare.close(got.dx, dx, f"{call}: d/dx", x)
    fraction, integer = ("f", di) if q_type == "kif" else ("b", di - df)
    scale = np.abs(di).sum(0, keepdims=True) + np.abs(df).sum(0, keepdims=True)
    total = df.sum(0, keepdims=True)
    compare.close(got.widths[fraction], total, f"{call}: d/d{fraction}, summed over the batch", scale=scale)
    compare.close(got.widths["i"], integer.sum(0, keepdims=True), f"{call}: d/di, summed over the batch", scale=scale)


@pytest.mark.parametrize("q_type", Q_TYPES)
@pytest.mark.parametrize("round_mode", Round)
def test_wrap(backend: Backend, round_mode: Round, q_type: str) -> None:
    x, k, _, f = data()
    k = np.ones_like(k)
    b = np.maximum(f, 0) + 3
    g = upstream(x.shape)
    quantizer = backend.quantizer(fixed_spec(q_type, round_mode, Overflow.WRAP), (None, x.shape[1]))
    quantizer.assign({"k": k, "i": -40.0, **({"f": f} if q_type == "kif" else {"b": b})})
    if q_type == "kbi":  # The fraction follows from the integer bits that the batch needs.
        needed = [
            expected.integer_bits_kbi(column.min(), column.max(), int(bits), round_mode)
            for column, bits in zip(x.T, b[0], strict=True)
        ]
        f = b - np.array([needed])
    xq = expected.only_rounded(x, f, round_mode)
    dx, _, df = expected.fixed_gradients(x, xq, g, k, 0, f, Overflow.WRAP)
    got = quantizer.gradients(x, g)
    call = f"gradients({q_type}, {round_mode}, WRAP)"
    compare.equal(got.xq, xq, f"{call}: output", x)
    compare.close(got.dx, dx, f"{call}: d/dx", x)
    fraction = "f" if q_type == "kif" else "b"
    scale = np.abs(df).sum(0, keepdims=True)
    compare.close(got.widths[fraction], df.sum(0, keepdims=True), f"{call}: d/d{fraction}", scale=scale)
    compare.no_gradient(got.widths.get("i"), f"{call}: d/di")
    compare.no_gradient(got.widths.get("k"), f"{call}: d/dk")


@pytest.mark.parametrize("q_type", Q_TYPES)
@pytest.mark.parametrize("overflow_mode", Overflow)
def test_one_width_for_all_receives_the_sum(backend: Backend, overflow_mode: Overflow, q_type: str) -> None:
    x = np.random.default_rng(2).uniform(-6, 6, (8, 3, 4)).astype(np.float32)
    g = upstream(x.shape)
    spec = fixed_spec(q_type, Round.RND, overflow_mode, homogeneous_axis=None, heterogeneous_axis=())
    quantizer = backend.quantizer(spec, (None, 3, 4))
    quantizer.assign(stored_widths(q_type, 1, 3 if overflow_mode is Overflow.WRAP else 2, 1))
    i = 3 if overflow_mode is Overflow.WRAP else 2
    xq = expected.fixed(x, 1, i, 1, Round.RND, overflow_mode)
    _, di, df = expected.fixed_gradients(x, xq, g, 1, i, 1, overflow_mode)
    got = quantizer.gradients(x, g)
    call = f"gradients({q_type}, one width, {overflow_mode})"
    fraction, integer = ("f", di) if q_type == "kif" else ("b", di - df)
    scale = np.abs(di).sum() + np.abs(df).sum()
    compare.close(got.widths[fraction], np.full((1, 1, 1), df.sum()), f"{call}: d/d{fraction}", scale=scale)
    if overflow_mode is not Overflow.WRAP:
        compare.close(got.widths["i"], np.full((1, 1, 1), integer.sum()), f"{call}: d/di", scale=scale)


@pytest.mark.parametrize("q_type", Q_TYPES)
@pytest.mark.parametrize("overflow_mode", [Overflow.SAT, Overflow.SAT_SYM])
def test_reading_a_width_is_straight_through(backend: Backend, overflow_mode: Overflow, q_type: str) -> None:
    x = np.random.default_rng(3).uniform(-6, 6, (16, 5)).astype(np.float32)
    g = upstream(x.shape)
    spread = np.array([[-0.4, -0.2, 0.0, 0.3, 0.45]])
    quantizer = backend.quantizer(fixed_spec(q_type, Round.RND, overflow_mode), (None, 5))
    stored = stored_widths(q_type, np.ones((1, 5)), np.full((1, 5), 2), np.full((1, 5), 3))
    quantizer.assign({name: value + (0 if name == "k" else spread) for name, value in stored.items()})
    xq = expected.fixed(x, 1, 2, 3, Round.RND, overflow_mode)
    dx, di, df = expected.fixed_gradients(x, xq, g, 1, 2, 3, overflow_mode)
    got = quantizer.gradients(x, g)
    call = f"gradients({q_type}, fractional stored widths, {overflow_mode})"
    compare.equal(got.xq, xq, f"{call}: output", x)
    compare.close(got.dx, dx, f"{call}: d/dx", x)
    fraction, integer = ("f", di) if q_type == "kif" else ("b", di - df)
    scale = np.abs(di).sum(0, keepdims=True) + np.abs(df).sum(0, keepdims=True)
    compare.close(got.widths[fraction], df.sum(0, keepdims=True), f"{call}: d/d{fraction}", scale=scale)
    compare.close(got.widths["i"], integer.sum(0, keepdims=True), f"{call}: d/di", scale=scale)
