"""Quantizers of which the numbers and their bits are known, and tables of which the entries are."""

from itertools import product

import numpy as np
import pytest

from hgq_core.conformance.backend import Mode
from hgq_core.conformance.numpy_backend import NumpyQuantizer
from hgq_core.formats import Formats
from hgq_core.graph.evaluate import lookup_values
from hgq_core.graph.integers import IntegerArray
from hgq_core.graph.ops import Constant, Lookup
from hgq_core.layers import FixedTable
from hgq_core.layers.recorded import of_constant, of_table
from hgq_core.modes import Overflow
from hgq_core.ops import NUMPY
from hgq_core.quantizer import full_width
from hgq_core.quantizer.bits import counted_bits


def made(recorded, shape):
    """The quantizer as it stands."""
    quantizer = NumpyQuantizer(recorded.spec, shape)
    quantizer.assign(recorded.widths)
    return quantizer


def numbers_of(rng, formats, overflow, rows=1):
    """Numbers of these formats, the ends of their ranges among them."""
    steps = np.maximum(2.0 ** (formats.i + formats.f), 1)
    low = -formats.k * (steps - 1 if overflow is Overflow.SAT_SYM else steps)
    units = np.floor(rng.uniform(size=(rows, *formats.shape)) * (steps - low)) + low
    ends = rng.integers(0, 3, units.shape)
    units = np.where(ends == 1, low, np.where(ends == 2, steps - 1, units))
    return np.where(formats.alive, np.ldexp(units, -formats.f), 0.0)


@pytest.mark.parametrize(("overflow", "place", "seed"), list(product(Overflow, ("weight", "bias"), range(20))))
def test_a_constant_is_what_a_quantizer_of_its_bits_gives(overflow, place, seed):
    rng = np.random.default_rng(seed)
    shape = (3, 4)
    formats = Formats.of(rng.integers(0, 2, shape), rng.integers(-3, 4, shape), rng.integers(-1, 5, shape))
    values = numbers_of(rng, formats, overflow)[0]
    bits = counted_bits(NUMPY, *(part.astype(float) for part in (formats.k, formats.i, formats.f)), overflow)
    quantizer = made(of_constant("kernel", Constant.of(values, bits), place), shape)
    np.testing.assert_array_equal(quantizer.forward(values, Mode.INFER), values)
    np.testing.assert_array_equal(quantizer.bits(), bits)


def test_the_binary_point_is_that_of_the_largest_number_where_bits_leave_room():
    recorded = of_constant("kernel", Constant.of([3.0, 0.25, 0.0, 0.125], [4, 4, 4, 1]), "weight")
    assert recorded.widths["i"].tolist() == [2, 2, 2, -2]
    assert recorded.spec.overflow_mode is Overflow.SAT_SYM
    assert not np.any(of_constant("kernel", Constant.of([0.0, 0.0], [4, 0]), "weight").widths["i"])


def test_a_negative_power_of_two_of_a_sign_alone_wraps():
    recorded = of_constant("kernel", Constant.of([-2.0, 0.5], [0, 3]), "weight")
    assert recorded.spec.overflow_mode is Overflow.WRAP
    assert not recorded.spec.is_weight


def lookup(rng, overflow, *, with_sign, tables=4):
    """A table of random entries, of which one serves inputs with a sign and without."""
    shape = (2, 3)
    inputs = Formats.of(rng.integers(0, 2, shape), 1, 2)
    inputs = Formats.of(inputs.k, 2 - inputs.k, inputs.f)
    index = rng.integers(0, tables, shape)
    each = Formats.of(*(rng.integers(low, high, tables) for low, high in ((0, 2), (-1, 3), (0, 3))))
    entries = np.ldexp(numbers_of(rng, each, overflow, 16).T, 3).astype(np.int64)
    kif = [part.astype(float)[index] for part in (each.k, each.i, each.f)]
    bits = counted_bits(NUMPY, *kif, overflow)
    if with_sign and overflow is not Overflow.SAT:
        bits = bits + np.where(bits > 0, kif[0], 0)
    return Lookup(inputs, tuple(entries), 3, index, bits.astype(np.int64), (6, 5) if with_sign else None)


@pytest.mark.parametrize(("overflow", "with_sign", "seed"), list(product(Overflow, (False, True), range(20))))
def test_entries_of_a_table_are_what_a_quantizer_of_its_bits_gives(overflow, with_sign, seed):
    table = lookup(np.random.default_rng(seed), overflow, with_sign=with_sign)
    recorded = of_table("table", table)
    quantizer = made(recorded, (None, *table.index.shape))
    values = np.moveaxis(np.ldexp(np.stack(table.tables)[table.index].astype(float), -table.fraction), -1, 0)
    np.testing.assert_array_equal(quantizer.forward(values, Mode.INFER), values)
    counted = full_width(NUMPY, recorded.spec, recorded.widths.__getitem__) if with_sign else quantizer.bits()
    np.testing.assert_array_equal(counted[0], table.bits)


# --- the function of a table ---


@pytest.mark.parametrize(("tables", "seed"), list(product((1, 4), range(10))))
def test_a_fixed_table_is_the_table_at_all_of_its_inputs(tables, seed):
    table = lookup(np.random.default_rng(seed), Overflow.WRAP, with_sign=False, tables=tables)
    codes = np.arange(16.0).reshape(-1, 1, 1) - 8.0 * table.formats.k
    x = np.ldexp(codes, -table.formats.f)
    expected = lookup_values(IntegerArray.of(x), table).values
    np.testing.assert_array_equal(FixedTable.of(table)(NUMPY, x), expected)


def test_between_entries_it_is_a_line_and_beyond_them_constant():
    formats = Formats.of([1, 0], [1, 1], [1, 1])
    table = Lookup(formats, (np.array([0, 2, 4, 4, -8, -6, -5, -2]), np.array([5, 6, 8, 8])), 0, np.array([0, 1]))
    x = np.array([[-9.0, -1.0, -0.75, -0.25, 0.0, 0.25, 0.5, 7.0]]).T
    signed, unsigned = FixedTable.of(table)(NUMPY, np.concatenate([x, x], 1)).T
    assert signed.tolist() == [-8, -5, -3.5, -1, 0, 1, 2, 4]
    assert unsigned.tolist() == [5, 5, 5, 5, 5, 5.5, 6, 8]


def test_a_table_of_one_entry_is_constant():
    table = Lookup(Formats.of([0], [0], [0]), (np.array([3]),), 1, np.array([0]))
    assert FixedTable.of(table)(NUMPY, np.array([[0.0], [2.0]])).tolist() == [[1.5], [1.5]]


def test_only_tables_that_differ_are_functions_of_their_element():
    rng = np.random.default_rng(0)
    assert FixedTable.of(lookup(rng, Overflow.SAT, with_sign=False)).each
    same = Formats.of([1, 1], [1, 1], [0, 0])
    assert not FixedTable.of(Lookup(same, (np.arange(4),), 0, np.array([0, 0]))).each


def test_another_kind_of_array_is_refused_by_name():
    table = FixedTable.of(Lookup(Formats.of([0], [0], [0]), (np.array([3]),), 1, np.array([0])))
    with pytest.raises(TypeError, match="cannot take a list: register it with between_entries"):
        table(NUMPY, [0.0])
