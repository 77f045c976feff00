"""Group numbers: every rounding and overflow mode, on every format of the table, against the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hgq_core.conformance import compare, expected
from hgq_core.conformance.backend import Backend, Mode
from hgq_core.conformance.cases_numbers import FORMATS, fixed_spec, format_arrays, inputs_for, stored_widths
from hgq_core.modes import Overflow, Round

pytestmark = pytest.mark.feature("numbers")

MODES = [pytest.param(r, o, id=f"{r}-{o}") for r in Round for o in Overflow]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("round_mode", "overflow_mode"), MODES)
def test_each_format(backend: Backend, round_mode: Round, overflow_mode: Overflow, name: str) -> None:
    x = inputs_for(*FORMATS[name])
    k, i, f = (np.full(x.shape, part) for part in FORMATS[name])
    got = backend.quantize(x, k, i, f, round_mode=round_mode, overflow_mode=overflow_mode)
    call = f"quantize(k, i, f = {FORMATS[name]}, {round_mode}, {overflow_mode})"
    compare.equal(got, expected.fixed(x, k, i, f, round_mode, overflow_mode), call, x)


@pytest.mark.parametrize(("round_mode", "overflow_mode"), MODES)
def test_formats_side_by_side(backend: Backend, round_mode: Round, overflow_mode: Overflow) -> None:
    x, k, i, f = format_arrays()
    got = backend.quantize(x, k, i, f, round_mode=round_mode, overflow_mode=overflow_mode)
    wanted = expected.fixed(x, k, i, f, round_mode, overflow_mode)
    compare.equal(got, wanted, f"quantize(formats broadcast, {round_mode}, {overflow_mode})", x)


@pytest.mark.parametrize("round_mode", Round)
def test_wrap_left_out_only_rounds(backend: Backend, round_mode: Round) -> None:
    x, k, i, f = format_arrays()
    got = backend.quantize(x, k, i, f, round_mode=round_mode, overflow_mode=Overflow.WRAP, wrap=False)
    wanted = np.where(k + i + f > 0, expected.only_rounded(x, f, round_mode), 0)
    compare.equal(got, wanted, f"quantize({round_mode}, WRAP, wrap=False)", x)


@pytest.mark.parametrize("q_type", ["kif", "kbi"])
@pytest.mark.parametrize(("round_mode", "overflow_mode"), MODES)
def test_quantizer_object_at_inference(
    backend: Backend, round_mode: Round, overflow_mode: Overflow, q_type: str
) -> None:
    x, k, i, f = format_arrays()
    quantizer = backend.quantizer(fixed_spec(q_type, round_mode, overflow_mode), (None, x.shape[1]))
    quantizer.assign(stored_widths(q_type, k, i, f))
    wanted = expected.fixed(x, k, i, f, round_mode, overflow_mode)
    call = f"Quantizer({q_type}, {round_mode}, {overflow_mode}).forward(INFER)"
    compare.equal(quantizer.forward(x, Mode.INFER), wanted, call, x)
    if overflow_mode is not Overflow.WRAP:
        compare.equal(quantizer.forward(x, Mode.TRAIN), wanted, call.replace("INFER", "TRAIN"), x)
        compare.equal(quantizer.widths()["i"], i, f"{call} left i as it was")


@pytest.mark.parametrize("overflow_mode", Overflow)
def test_spec_examples(backend: Backend, overflow_mode: Overflow) -> None:
    x = np.array([3.5, -3.5, 2.5], dtype=np.float32)
    k, i, f = np.ones(3, int), np.full(3, 4), np.zeros(3, int)
    table = {"RND": (4, -3, 3), "RND_CONV": (4, -4, 2), "TRN": (3, -4, 2), "S_RND": (4, -4, 3), "TRN_ZERO": (3, -3, 2)}
    for name, wanted in table.items():
        got = backend.quantize(x, k, i, f, round_mode=Round.parse(name), overflow_mode=overflow_mode)
        compare.equal(got, wanted, f"quantize({name}, {overflow_mode})", x)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_any_format_and_number(backend: Backend, data: st.DataObject) -> None:
    size = 64
    numbers = st.floats(-(2.0**20), 2.0**20, width=32, allow_subnormal=False)
    x = np.array(data.draw(st.lists(numbers, min_size=size, max_size=size)), dtype=np.float32)
    k, i, f = data.draw(st.integers(0, 1)), data.draw(st.integers(-8, 12)), data.draw(st.integers(-8, 12))
    round_mode, overflow_mode = data.draw(st.sampled_from(Round)), data.draw(st.sampled_from(Overflow))
    full_k, full_i, full_f = (np.full(size, part) for part in (k, i, f))
    got = backend.quantize(x, full_k, full_i, full_f, round_mode=round_mode, overflow_mode=overflow_mode)
    call = f"quantize(k, i, f = {k, i, f}, {round_mode}, {overflow_mode})"
    compare.equal(got, expected.fixed(x, full_k, full_i, full_f, round_mode, overflow_mode), call, x)
