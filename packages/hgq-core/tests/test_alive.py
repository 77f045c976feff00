"""Widths that would start a layer dead are widened, by the least that helps."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core.alive import NOISE_LIMIT, widened
from hgq_core.errors import DataError
from hgq_core.exact import quantized
from hgq_core.formats import FixedPoint
from hgq_core.modes import Overflow, Round

MODES = {"round_mode": Round.RND, "overflow_mode": Overflow.SAT_SYM}


def exact(values, f):
    return np.array([float(quantized(float(v), FixedPoint(1, 2, f), Round.RND, Overflow.SAT_SYM)) for v in values])


@pytest.mark.parametrize("values", [[0.0, 0.0], [0.5, 0.001], [3.9]])
def test_a_kernel_that_is_alive_or_zero_stays_as_it_is(values):
    assert not widened(values, 1, 2, 6, **MODES)


@pytest.mark.parametrize("scale", [1e-3, 3e-5, 1e-7])
def test_the_fewest_bits_that_leave_a_quarter_of_the_power_as_noise(scale):
    values = np.random.default_rng(0).uniform(-scale, scale, 50)
    extra = widened(values, 1, 2, 6, **MODES).fraction

    def noise(n):
        return np.sum((values - exact(values, 6 + n)) ** 2) / np.sum(values**2)

    assert noise(extra) <= NOISE_LIMIT < noise(extra - 1)


def test_what_the_constraint_does_not_allow_is_taken_from_the_integer_bits():
    change = widened([1e-6], 1, 2, 6, room=4, **MODES)
    assert change.bits == 4 < change.fraction


def test_widths_per_element_broadcast():
    assert widened([[1e-3], [2e-3]], 1, [[2.0], [1.0]], 6, **MODES).fraction > 0


def test_bad_numbers_are_refused():
    with pytest.raises(DataError, match="NaN"):
        widened([np.nan], 1, 2, 6, **MODES)


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-30, 1e-2), st.floats(-1e-2, -1e-30)), min_size=1, max_size=6),
    st.integers(-2, 2),
    st.integers(-2, 8),
)
def test_what_comes_out_has_6_db_and_what_lives_is_untouched(values, i, f):
    def power(extra):
        noise = signal = Fraction(0)
        for v in map(Fraction, values):
            q = quantized(v, FixedPoint(1, i, f + extra), Round.RND, Overflow.SAT_SYM)
            noise, signal = noise + (v - q) ** 2, signal + v**2
        return noise, signal

    lives = any(quantized(v, FixedPoint(1, i, f), Round.RND, Overflow.SAT_SYM) for v in values)
    change = widened(values, 1, i, f, **MODES)
    noise, signal = power(change.fraction)
    assert not change or not lives
    assert lives or noise <= signal / 4 * (1 + Fraction(1, 10**9))
