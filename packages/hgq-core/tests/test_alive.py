"""Widths that would start a layer dead, or nearly dead, are widened, by the least that helps."""

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


@pytest.mark.parametrize("values", [[0.0, 0.0], [0.5, 0.001], [3.9], [7.9]])
def test_a_kernel_that_is_zero_or_has_6_db_stays_as_it_is(values):
    assert not widened(values, 1, 2, 6, **MODES)


def test_one_element_that_survives_is_no_healthy_kernel():
    """99 weights at 0.4 steps are rounded to zero and one of a step lives: 0.2 dB."""
    values = [2**-6, *[0.4 * 2**-6] * 99]
    assert widened(values, 1, 2, 6, **MODES).fraction == 1


def test_a_kernel_that_is_clipped_gets_integer_bits():
    values = np.array([40.0, -30.0, 0.1])
    change = widened(values, 1, 2, 6, **MODES)
    assert (change.fraction, change.integer, change.bits) == (0, 3, 3)  # 8, 16 and 32 clip most of it; 32 leaves 12 dB


def test_under_wrap_nothing_is_clipped_so_that_large_kernels_stay():
    assert not widened([400.0, -300.0], 1, 2, 6, round_mode=Round.RND, overflow_mode=Overflow.WRAP)


def test_a_large_kernel_gives_up_its_finest_steps_where_there_is_no_room():
    change = widened([4000.0], 1, 2, 6, room=0, **MODES)
    assert change.bits == 0 < change.integer
    assert change.fraction == -change.integer


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
    assert change.integer == 4 - change.fraction


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
def test_what_comes_out_has_6_db_and_what_had_them_is_untouched(values, i, f):
    def enough(integer, fraction):
        noise = signal = Fraction(0)
        for v in map(Fraction, values):
            q = quantized(v, FixedPoint(1, i + integer, f + fraction), Round.RND, Overflow.SAT_SYM)
            noise, signal = noise + (v - q) ** 2, signal + v**2
        return noise <= signal / 4 * (1 + Fraction(1, 10**9))

    change = widened(values, 1, i, f, **MODES)
    assert enough(change.integer, change.fraction)
    assert not change or not enough(0, 0)
