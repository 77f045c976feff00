"""A format is the set of numbers that it holds; every property is checked against that set."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core.errors import DataError, FormatError, ShapeError
from hgq_core.formats import FixedPoint, Formats, MiniFloat, integer_bits_for

small = st.integers(-5, 5)
dyadic = st.builds(lambda n, e: n * 2.0**e, st.integers(-(2**20), 2**20), st.integers(-30, 30))


def members(k, i, f):
    """Two's complement by counting bit patterns."""
    width = k + i + f
    if width <= 0:
        return [Fraction(0)]
    return [Fraction(code - k * 2 ** (width - 1)) * Fraction(2) ** -f for code in range(2**width)]


@given(st.integers(0, 1), small, small)
def test_a_fixed_point_format_is_the_set_of_its_bit_patterns(k, i, f):
    fmt, held = FixedPoint(k, i, f), members(k, i, f)
    assert (fmt.lowest, fmt.highest, 2**fmt.width) == (min(held), max(held), len(held))
    assert {b - a for a, b in pairwise(held)} <= {fmt.step}


@given(st.integers(0, 1), small, small)
def test_arrays_of_formats_agree_with_single_ones(k, i, f):
    one, many = FixedPoint(k, i, f), Formats.of([k, k], i, f)
    assert many.shape == (2,)
    for part in ("width", "lowest", "highest", "step"):
        assert list(getattr(many, part)) == [getattr(one, part)] * 2
    assert many.alive.all() == (one.width > 0)


@given(dyadic)
def test_covering_is_the_narrowest_format_that_holds_the_number(x):
    c = Formats.covering(x)
    fmt, exact = FixedPoint(int(c.k), int(c.i), int(c.f)), Fraction(x)
    assert fmt.lowest <= exact <= fmt.highest
    assert (exact / fmt.step).denominator == 1
    assert fmt.k == (x < 0)
    for k, i, f in ((fmt.k, fmt.i - 1, fmt.f), (fmt.k, fmt.i, fmt.f - 1)):
        less = FixedPoint(k, i, f)
        assert x == 0 or not less.lowest <= exact <= less.highest or (exact / less.step).denominator != 1


def test_zero_needs_no_bits():
    assert Formats.covering([0.0, -0.0]).width.tolist() == [0, 0]


@given(small, dyadic, dyadic)
def test_integer_bits_for_is_the_first_that_fits(f, a, b):
    step = Fraction(2) ** -f
    low, high = (Fraction(round(v / step)) * step for v in sorted((Fraction(a), Fraction(b))))
    i = integer_bits_for(min(low, 0), max(high, 0), f)

    def fits(bits):
        return FixedPoint(1, bits, f).lowest <= low and high <= Fraction(2) ** bits - step

    assert fits(i)
    assert i == -f or not fits(i - 1)


def test_equality_is_by_value_and_formats_are_not_hashable():
    assert Formats.of(1, [2, 2], 3) == Formats.of([1, 1], 2, 3)
    assert Formats.of(1, 2, 3) != Formats.of(1, 2, 4)
    assert Formats.of(1, 2, 3) != 5
    with pytest.raises(TypeError):
        hash(Formats.of(1, 2, 3))


@pytest.mark.parametrize("k", [-1, 2, 0.5])
def test_k_is_a_bit(k):
    with pytest.raises(FormatError, match="0 or 1"):
        FixedPoint(k, 1, 1)
    with pytest.raises(FormatError, match="received"):
        Formats.of(k, 1, 1)


@pytest.mark.parametrize("bad", [1.5, np.nan, np.inf, "3"])
def test_bits_are_whole_numbers(bad):
    with pytest.raises(FormatError, match="f counts bits"):
        Formats.of(1, 2, bad)


def test_numbers_that_nothing_covers_and_shapes_that_do_not_fit():
    with pytest.raises(DataError, match="NaN or infinity"):
        Formats.covering([1.0, np.inf])
    with pytest.raises(ShapeError, match="do not broadcast"):
        Formats.of(1, [1, 2], 3).broadcast_to((3,))


def floats_of(m, e, e0):
    """Every positive minifloat: subnormals and, for each exponent, the numbers from 2**n up to 2**(n + 1)."""
    lowest = e0 + 1 - 2 ** (e - 1)
    values = {Fraction(j, 2**m) * Fraction(2) ** lowest for j in range(2**m)}
    for n in range(lowest, e0 + 2 ** (e - 1)):
        values |= {(1 + Fraction(j, 2**m)) * Fraction(2) ** n for j in range(2**m)}
    return values


@given(st.integers(0, 4), st.integers(1, 4), st.integers(-3, 3))
def test_minifloat_limits(m, e, e0):
    fmt, values = MiniFloat(m, e, e0), floats_of(m, e, e0)
    assert fmt.highest == max(values)
    assert fmt.step == min(v for v in values if v > 0)
    assert fmt.width == m + e + 1


def test_dead_and_impossible_minifloats():
    assert (MiniFloat(-1, 4, 0).highest, MiniFloat(-1, 4, 0).width) == (0, 0)
    assert MiniFloat(2, 0, 0).highest == Fraction(3, 2)
    for m, e in ((-2, 1), (1, -1)):
        with pytest.raises(FormatError, match="expected m >= -1"):
            MiniFloat(m, e, 0)


@pytest.mark.parametrize("bits", ["a", None, 2.5, 10**9, [1]])
def test_a_format_counts_whole_bits(bits):
    for make in (lambda: FixedPoint(1, bits, 2), lambda: FixedPoint(1, 2, bits), lambda: MiniFloat(2, bits, 0)):
        with pytest.raises(FormatError, match="counts bits"):
            make()


@pytest.mark.parametrize("part", [2, None, [1], "a", np.array([0.5]), np.array(["a"])])
def test_formats_are_arrays_of_integers_of_one_shape(part):
    whole = np.array([1])
    with pytest.raises(FormatError, match="expected an array of integers"):
        Formats(whole, part, whole)


def test_formats_of_different_shapes_do_not_make_formats():
    with pytest.raises(FormatError, match="expected one shape"):
        Formats(np.array([1]), np.array([1, 2]), np.array([1]))
    with pytest.raises(FormatError, match="whole numbers"):
        Formats.of(1, [[1], [1, 2]], 0)


def test_a_minifloat_has_no_more_exponent_bits_than_numbers_can_have():
    with pytest.raises(FormatError, match="e from 0 to 20"):
        MiniFloat(2, 64, 0)
