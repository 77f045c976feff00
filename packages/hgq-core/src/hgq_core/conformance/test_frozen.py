"""Group frozen: a quantizer whose widths are not trained acts in training and in calibration as at inference."""

from __future__ import annotations

import numpy as np
import pytest

from hgq_core.conformance import compare, expected
from hgq_core.conformance.backend import Backend, Mode
from hgq_core.conformance.cases_numbers import fixed_spec
from hgq_core.modes import Overflow, Round

pytestmark = pytest.mark.feature("frozen")

X = np.array([[50.0, -3.0, 0.3], [1.75, -0.1, -8.0], [-2.0, 1.99, 0.0]], dtype=np.float32)
"""Numbers inside and outside of a signed format with one integer bit."""


@pytest.mark.parametrize("q_type", ["kif", "kbi"])
@pytest.mark.parametrize("overflow_mode", Overflow)
@pytest.mark.parametrize("round_mode", [Round.RND, Round.TRN])
@pytest.mark.parametrize("mode", [Mode.TRAIN, Mode.CALIBRATE])
def test_stored_widths_are_used_and_left_alone(
    backend: Backend, mode: Mode, round_mode: Round, overflow_mode: Overflow, q_type: str
) -> None:
    spec = fixed_spec(q_type, round_mode, overflow_mode, trainable=False)
    quantizer = backend.quantizer(spec, (None, X.shape[1]))
    quantizer.assign({"k": 1, "i": 1, **({"f": 2} if q_type == "kif" else {"b": 3})})
    before = quantizer.widths()
    call = f"Quantizer({q_type}, {round_mode}, {overflow_mode}, trainable=False).forward({mode})"
    wanted = expected.fixed(X, 1, 1, 2, round_mode, overflow_mode)
    compare.equal(quantizer.forward(X, mode), wanted, call, X)
    for width, value in quantizer.widths().items():
        compare.equal(value, before[width], f"{call}: stored {width}")


@pytest.mark.parametrize("overflow_mode", Overflow)
def test_data_pass_their_gradient_as_at_inference(backend: Backend, overflow_mode: Overflow) -> None:
    spec = fixed_spec("kif", Round.RND, overflow_mode, trainable=False)
    quantizer = backend.quantizer(spec, (None, X.shape[1]))
    quantizer.assign({"k": 1, "i": 1, "f": 2})
    g = np.arange(1, X.size + 1, dtype=np.float32).reshape(X.shape)
    result = quantizer.gradients(X, g)
    highest, lowest = 1.75, -1.75 if overflow_mode is Overflow.SAT_SYM else -2.0
    inside = np.ones_like(X) if overflow_mode is Overflow.WRAP else (highest >= X) & (lowest <= X)
    call = f"Quantizer(kif, {overflow_mode}, trainable=False)"
    compare.equal(result.xq, expected.fixed(X, 1, 1, 2, Round.RND, overflow_mode), f"{call}: output", X)
    compare.equal(result.dx, g * inside, f"{call}: gradient to x", X)
