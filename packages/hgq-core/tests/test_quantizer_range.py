"""How the range of WRAP follows the data, against exact fractions."""

from fractions import Fraction
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core.exact import rounded
from hgq_core.formats import integer_bits_for
from hgq_core.modes import Overflow, Round
from hgq_core.ops import NUMPY
from hgq_core.quantizer import Mode
from hgq_core.quantizer import range as rule
from hgq_core.spec import KBI, KIF, Bounds, Dummy, Float

NUMBERS = st.floats(-1e4, 1e4, width=32)
MODES = st.sampled_from(Round)


def on_grid(x, f, mode):
    return rounded(Fraction(x) * Fraction(2) ** f, mode) * Fraction(2) ** -f


@given(NUMBERS, NUMBERS, st.integers(-6, 12), MODES)
def test_kif_needs_the_fewest_bits_that_hold_what_is_rounded(a, b, f, mode):
    low, high = sorted((a, b))
    got = rule.needed(NUMPY, KIF(round_mode=mode), np.float64(low), np.float64(high), float(f))
    assert got == integer_bits_for(on_grid(low, f, mode), on_grid(high, f, mode), f)
    stands = rule.needed_as_it_stands(NUMPY, KBI(round_mode=mode), np.float64(low), np.float64(high), float(f))
    assert stands == got


@given(NUMBERS, NUMBERS, st.integers(1, 12), MODES)
def test_kbi_needs_the_fewest_bits_for_which_its_own_grid_holds_the_data(a, b, bits, mode):
    low, high = sorted((a, b))
    got = rule.needed(NUMPY, KBI(round_mode=mode), np.float64(low), np.float64(high), float(bits))
    if low == high == 0:
        assert got == -32
        return

    def holds(i):
        f = bits - i
        return integer_bits_for(on_grid(low, f, mode), on_grid(high, f, mode), f) <= i

    assert got == next(i for i in range(-200, 60) if holds(i))


@given(st.floats(-30, 30), st.integers(-30, 30), st.floats(0, 40), st.sampled_from(Mode), st.booleans())
def test_what_is_wanted_in_each_mode(i, needs, decay, mode, repeated):
    spec = KIF(i_decay_speed=decay)
    got = rule.wanted(NUMPY, spec, np.float64(i), np.float64(needs), mode, repeated=repeated)
    falls = decay if mode is Mode.TRAIN and not repeated else 0.0
    assert got == (needs if mode is Mode.INFER else max(i - falls, needs))


def test_at_infinite_speed_the_range_is_that_of_the_batch():
    assert rule.wanted(NUMPY, KBI(i_decay_speed=inf), np.float64(9), np.float64(-3), Mode.TRAIN) == -3


@given(st.floats(-40, 40), st.integers(-30, 0), st.integers(0, 30))
def test_a_constraint_limits_and_its_absence_does_not(i, low, high):
    limits = [Bounds(low, high), Bounds(low=low), Bounds(high=high), Bounds(), None, lambda width: width + 1]
    got = [float(rule.limited(NUMPY, KIF(ic=limit), np.float64(i))) for limit in limits]
    assert got == [min(max(i, low), high), max(i, low), min(i, high), i, i, i + 1]


@given(NUMBERS, st.integers(-8, 8), st.integers(-8, 8), MODES)
def test_the_sign_is_wanted_where_a_rounded_number_is_negative(low, i, f, mode):
    got = rule.rounds_below_zero(NUMPY, KIF(round_mode=mode), np.float64(low), float(i), float(f))
    assert got == (on_grid(low, f, mode) < 0 and 1 + i + f > 0)


def test_fresh_is_the_lower_limit_or_fewer_bits_than_anything_needs():
    zeros = np.zeros((1, 2))
    for limit, wanted in ((Bounds(-23, 23), -23), (Bounds(high=-40), -40), (Bounds(low=-50), -32), (None, -32)):
        assert rule.fresh(NUMPY, KBI(ic=limit), zeros).tolist() == [[wanted, wanted]]


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("kind", [KIF, KBI])
@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("is_weight", [True, False])
def test_which_ranges_follow(is_weight, trainable, kind, overflow):
    spec = kind(is_weight=is_weight, trainable=trainable, overflow_mode=overflow)
    wrap = overflow is Overflow.WRAP
    assert rule.tracks(spec) is wrap
    assert rule.is_weight_range(spec) is (wrap and is_weight)
    assert rule.follows_data(spec) is (wrap and not is_weight and trainable)
    for mode in Mode:
        assert rule.follows(spec, mode) is (wrap and (is_weight or mode is not Mode.INFER))
        assert rule.wraps(spec, mode) is (wrap and not is_weight and mode is Mode.INFER)


@pytest.mark.parametrize("spec", [Float(), Dummy()])
def test_without_fixed_point_there_is_no_range(spec):
    assert not any(function(spec) for function in (rule.tracks, rule.is_weight_range, rule.follows_data))
    assert not any(function(spec, mode) for function in (rule.follows, rule.wraps) for mode in Mode)
