"""Widths that would start a layer dead are widened, by the least that helps."""

import numpy as np
import pytest

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
