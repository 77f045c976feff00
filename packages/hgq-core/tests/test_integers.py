"""Exact arrays against Fractions, on both sides of what int64 holds."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core.errors import DataError, FormatError
from hgq_core.formats import Formats
from hgq_core.graph.integers import IntegerArray, bit_length
from hgq_core.graph.ops import Quantize
from hgq_core.graph.verbs import quantize_values

integer = st.one_of(st.integers(-20, 20), st.integers(-(2**61), 2**61), st.integers(-(2**80), 2**80))


def array(numbers, fraction):
    wide = np.array(numbers, dtype=object)
    return IntegerArray(wide if max(map(abs, numbers)) >= 2**62 else wide.astype(np.int64), fraction)


exact = st.builds(array, st.lists(integer, min_size=3, max_size=3), st.integers(-5, 70))


def fractions(x):
    return np.vectorize(lambda n: int(n) * Fraction(2) ** -x.fraction, otypes=[object])(x.integers)


@given(exact, exact)
def test_arithmetic_equals_fractions(a, b):
    x, y = fractions(a), fractions(b)
    for got, expected in [
        (a + b, x + y),
        (a - b, x - y),
        (a * b, x * y),
        (-a, -x),
        (np.maximum(a, b), np.maximum(x, y)),
        (np.minimum(a, b), np.minimum(x, y)),
        (np.where(np.less(a, b), a, b), np.where(x < y, x, y)),
        (np.concatenate([a, b]), np.concatenate([x, y])),
        (np.stack([a, b]), np.stack([x, y])),
        (np.einsum("i,i->", a, b), x @ y),
        (np.einsum("i,j->ij", a, b), np.outer(x, y)),
        (np.sum(a, axis=0, keepdims=True), x.sum(keepdims=True)),
        (np.pad(a, [(1, 2)]), np.array([0, *x, 0, 0], dtype=object)),
    ]:
        assert fractions(got).tolist() == np.asarray(expected).tolist()


@given(exact, exact)
def test_comparisons_equal_fractions(a, b):
    x, y = fractions(a), fractions(b)
    for ufunc in (np.less, np.less_equal, np.equal, np.greater_equal, np.greater):
        assert ufunc(a, b).tolist() == [bool(ufunc(p, q)) for p, q in zip(x, y, strict=True)]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4))
def test_floats_enter_and_leave_exactly(values):
    x = IntegerArray.of(values)
    assert fractions(x).tolist() == [Fraction(v) for v in values]
    if np.all(np.abs(values) > 2.0**-900) or not any(values):
        assert x.values.tolist() == values


@given(integer.map(abs))
def test_bit_length_is_that_of_python(n):
    assert bit_length(np.array([n], dtype=object)).tolist() == [n.bit_length()]
    if n < 2**63:
        assert bit_length(np.array([n])).tolist() == [n.bit_length()]


@pytest.mark.parametrize(
    "operation", [lambda x: x * x, lambda x: x + x + x, lambda x: np.sum(np.stack([x] * 5), axis=0)]
)
def test_what_leaves_int64_goes_on_as_python_integers(operation):
    x = array([2**61, -(2**61), 1], 3)
    assert x.integers.dtype == np.int64
    assert operation(x).integers.dtype == object
    assert operation(array([1, 2, 3], 3)).integers.dtype == np.int64


def test_more_than_53_bits_have_no_float64():
    assert array([2**60, 1, 0], 2).values.tolist() == [2.0**58, 0.25, 0.0]
    for wide in (2**53 + 1, 2**70 + 1):
        with pytest.raises(FormatError, match="more than 53 bits"):
            _ = array([wide, 0, 0], 0).values


def test_coarser_units_and_numbers_that_are_none_are_refused():
    with pytest.raises(FormatError, match="cannot express"):
        array([1, 2, 3], 3).at(2)
    with pytest.raises(DataError, match="NaN or infinity"):
        IntegerArray.of([1.0, np.nan])
    with pytest.raises(TypeError):
        np.exp(array([1, 2, 3], 0))


def test_numbers_without_axes_stay_arrays_however_far_they_are_shifted():
    one, two = IntegerArray(np.array(5), 0), IntegerArray(np.array([7, 8]), 70)
    assert fractions(one + two).tolist() == [5 + Fraction(7, 2**70), 5 + Fraction(8, 2**70)]
    assert one.at(70).shape == ()


def test_a_quantized_number_is_in_units_of_its_format():
    """Products add the units of their operands; in a loop they would double with every step otherwise."""
    fine = IntegerArray(np.array([[3 << 200]], object), 201)
    formats = Formats.of(np.array([1]), np.array([2]), np.array([3]))
    rounded = quantize_values(fine, Quantize(formats, "RND", "SAT"))
    assert (rounded.fraction, rounded.values.tolist()) == (3, [[1.5]])
