from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core.ops import EMPTY, NUMPY, tree


@given(st.floats(min_value=2.0**-126, max_value=2.0**100))
def test_ceil_log2_is_the_first_power_that_reaches_the_number(x):
    n = int(NUMPY.ceil_log2(x))
    assert Fraction(2) ** (n - 1) < Fraction(x) <= Fraction(2) ** n


@pytest.mark.parametrize("n", range(-126, 128))
def test_ceil_log2_around_powers_of_two(n):
    x = np.float32(2.0) ** np.float32(n)
    above = np.nextafter(x, np.float32(np.inf))
    assert (NUMPY.ceil_log2(x), NUMPY.ceil_log2(above)) == (n, n + 1)
    assert NUMPY.power_of_two(float(n)) == x


def test_what_has_no_logarithm_is_empty():
    assert NUMPY.ceil_log2(np.array([0.0, -3.0])).tolist() == [EMPTY, EMPTY]


@pytest.mark.parametrize("n", range(1, 18))
def test_a_tree_keeps_the_order_and_is_as_shallow_as_can_be(n):
    leaves, depth = tree(lambda a, b: (a[0] + b[0], max(a[1], b[1]) + 1), [([item], 0) for item in range(n)])
    assert leaves == list(range(n))
    assert depth == (n - 1).bit_length()
