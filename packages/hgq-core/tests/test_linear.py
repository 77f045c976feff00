"""Shapes and values of the linear operations against loops that follow their definitions."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.linear import Contract, Convolve, Pool, average_scale, explicit_pads
from hgq_core.ops import NUMPY


def whole(seed, *shape):
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(float)


@pytest.mark.parametrize(
    "equation", ["bi,io->bo", "bti,io->bto", "bij,bjk->bik", "bij,jko->bko", "oi,bi->bo", "bi,o->bio"]
)
def test_a_contraction_sums_products_over_the_letters_that_are_left_out(equation):
    sizes = dict(zip("bitjko", (2, 3, 4, 2, 3, 5), strict=True))
    first, second, output = Contract(equation).terms
    a, b = (whole(n, *(sizes[c] for c in term)) for n, term in enumerate((first, second)))
    expected = np.zeros([sizes[c] for c in output])
    letters = sorted(set(first + second))
    for values in product(*(range(sizes[c]) for c in letters)):
        at = dict(zip(letters, values, strict=True))
        expected[tuple(at[c] for c in output)] += a[tuple(at[c] for c in first)] * b[tuple(at[c] for c in second)]
    np.testing.assert_array_equal(Contract(equation).apply(NUMPY, a, b), expected)
    assert Contract(equation).shape(a.shape, b.shape) == expected.shape


@pytest.mark.parametrize(
    "equation", ["bi,io", "bi->bo", "bi,io,o->bo", "bii,io->bo", "bi,io->bz", "b1,1o->bo", "...i,io->o"]
)
def test_equations_that_do_not_name_every_axis_once_are_refused(equation):
    with pytest.raises(ConfigError, match="einsum equation: received"):
        Contract(equation)


def test_operands_that_disagree_are_refused():
    with pytest.raises(ShapeError, match="'bi' has 2 axes"):
        Contract("bi,io->bo").shape((None, 2, 3), (3, 4))
    with pytest.raises(ShapeError, match="axis 'i' is 3 in one operand and 4"):
        Contract("bi,io->bo").shape((None, 3), (4, 4))


def convolved(x, kernel, op):
    """Every output position, tap and channel by itself."""
    *window, channels, filters = kernel.shape
    spatial = x.shape[1:-1]
    full = [
        (n - 1) * s + (w - 1) * d + 1 - sum(p)
        for n, s, w, d, p in zip(spatial, op.strides, window, op.dilation, op.pads, strict=True)
    ]
    plain = [
        (n + sum(p) - (w - 1) * d - 1) // s + 1
        for n, s, w, d, p in zip(spatial, op.strides, window, op.dilation, op.pads, strict=True)
    ]
    y = np.zeros((len(x), *(full if op.transposed else plain), filters))
    for place in product(*map(range, spatial if op.transposed else plain)):
        for tap, o, c in product(product(*map(range, window)), range(filters), range(channels)):
            channel = o // (filters // op.groups) * channels + c
            other = tuple(
                p * s + t * d - before
                for p, s, t, d, (before, _) in zip(place, op.strides, tap, op.dilation, op.pads, strict=True)
            )
            out, at = (other, place) if op.transposed else (place, other)
            if all(0 <= n < size for n, size in zip(other, y.shape[1:-1] if op.transposed else spatial, strict=True)):
                y[(slice(None), *out, o)] += x[(slice(None), *at, channel)] * kernel[(*tap, c, o)]
    return y


@given(st.data())
def test_convolutions_of_every_kind(data):
    rank = data.draw(st.integers(1, 2))
    several = lambda low, high: tuple(data.draw(st.integers(low, high)) for _ in range(rank))  # noqa: E731
    groups, window = data.draw(st.integers(1, 2)), several(1, 3)
    pads = tuple(zip(several(0, 2), several(0, 2), strict=True))
    op = Convolve(several(1, 3), pads, several(1, 2), groups, data.draw(st.booleans()))
    x, kernel = whole(1, 2, *several(6, 7), 2 * groups), whole(2, *window, 2, 2 * groups)
    expected = convolved(x, kernel, op)
    assert op.shape((None, *x.shape[1:]), kernel.shape) == (None, *expected.shape[1:])
    np.testing.assert_array_equal(op.apply(NUMPY, x, kernel), expected)


def test_a_transposed_convolution_is_the_adjoint_of_the_plain_one():
    op = Convolve((2, 1), ((1, 0), (0, 1)), (1, 2))
    x, kernel = whole(0, 1, 6, 6, 2), whole(1, 3, 2, 2, 3)
    y = whole(2, *op.shape(x.shape, kernel.shape))
    back = Convolve(op.strides, op.pads, op.dilation, transposed=True).apply(NUMPY, y, np.swapaxes(kernel, -1, -2))
    extent = tuple(slice(0, n) for n in back.shape)
    assert np.sum(op.apply(NUMPY, x, kernel) * y) == np.sum(x[extent] * back)


@pytest.mark.parametrize(("x", "kernel"), [((None, 8, 3), (3, 4, 5)), ((None, 8), (3, 3, 5)), ((None, 8, 3), (3, 3))])
def test_a_kernel_that_does_not_fit_is_refused(x, kernel):
    with pytest.raises(ShapeError, match="convolution of rank 1 with 1 group"):
        Convolve((1,), ((0, 0),), (1,)).shape(x, kernel)


@pytest.mark.parametrize("kind", ["max", "sum"])
@pytest.mark.parametrize("pads", [((0, 0), (0, 0)), ((1, 1), (0, 1))])
def test_pooling_looks_at_what_is_inside(kind, pads):
    pool, x = Pool(kind, (3, 2), (2, 1), pads), whole(3, 2, 5, 4, 2)
    got = pool.apply(NUMPY, x)
    assert pool.shape((None, *x.shape[1:])) == (None, *got.shape[1:])
    for r, c in product(range(got.shape[1]), range(got.shape[2])):
        rows = [i for i in range(2 * r - pads[0][0], 2 * r - pads[0][0] + 3) if 0 <= i < 5]
        columns = [j for j in range(c - pads[1][0], c - pads[1][0] + 2) if 0 <= j < 4]
        inside = x[:, rows][:, :, columns]
        np.testing.assert_array_equal(got[:, r, c], getattr(inside, kind)(axis=(1, 2)))


def test_pools_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="received 'mean'"):
        Pool("mean", (2,), (2,), ((0, 0),))
    with pytest.raises(ShapeError, match="does not fit"):
        Pool("max", (4,), (1,), ((0, 0),)).shape((None, 3, 1))
    with pytest.raises(ShapeError, match="pooling over 1 axes"):
        Pool("max", (2,), (1,), ((0, 0),)).shape((None, 3, 3, 1))


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(1, 2))
def test_same_and_causal_pads_by_what_they_promise(n, window, stride, dilation):
    def extent(pads):
        return Convolve((stride,), pads, (dilation,)).shape((1, n, 1), (window, 1, 1))[1]

    same = explicit_pads("same", (n,), (window,), (stride,), (dilation,))
    assert extent(same) == -(-n // stride)
    assert same[0][1] - same[0][0] in (0, 1)
    causal = explicit_pads("causal", (n,), (window,), (stride,), (dilation,))
    assert causal == (((window - 1) * dilation, 0),)
    assert explicit_pads("valid", (n,), (window,), (stride,), (dilation,)) == ((0, 0),)


def test_unknown_padding_is_refused():
    with pytest.raises(ConfigError, match="received 'full', expected 'valid'"):
        explicit_pads("full", (3,), (1,), (1,), (1,))


@given(st.integers(4, 9), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2))
def test_average_scale_is_one_over_the_covered_elements_in_12_bits(n, window, stride, before, after):
    pool = Pool("sum", (window,), (stride,), ((min(before, window - 1), min(after, window - 1)),))
    covered = pool.apply(NUMPY, np.ones((1, n, 1)))[0]
    scale = average_scale(pool, (n,))
    assert scale.shape == covered.shape
    for s, count in zip(scale.ravel(), covered.ravel(), strict=True):
        assert Fraction(s).numerator < 2**12
        assert abs(Fraction(s) * int(count) - 1) <= (0 if count in (1, 2, 4) else Fraction(1, 2**12))


@pytest.mark.parametrize(
    ("equation", "constant"),
    [
        ("bc,ci->ib", (False, True)),  # last in the output
        ("cb,ci->bi", (False, True)),  # last in the data
        ("bc,ci->i", (False, True)),  # summed
        ("bc,bi->bi", (False, True)),  # in a constant
        ("bij,jbk->bik", (False, False)),  # not first in the other data
        ("ab,bc->ac", (True, True)),  # nowhere
    ],
)
def test_the_batch_axis_comes_first_in_data_and_output_and_is_in_no_constant(equation, constant):
    with pytest.raises(ShapeError, match=r"the batch axis, .*, must be the first axis of the data and of the output"):
        Contract(equation).check_batch(constant=constant)
    for right, kind in (("bi,io->bo", (False, True)), ("io,bi->bo", (True, False)), ("bij,bjk->bik", (False, False))):
        Contract(right).check_batch(constant=kind)
