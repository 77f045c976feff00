"""Merges, sums and contractions of data: costs of operands of different widths, and what is refused."""

import numpy as np
import pytest

from hgq_core.errors import ConfigError, HGQError, ShapeError
from hgq_core.graph.ops import Add, Maximum, Minimum, Multiply, Subtract
from hgq_core.layers import (
    Average,
    Bits,
    Contraction,
    Dot,
    Joined,
    Layered,
    Matmul,
    Mean,
    Merge,
    Sum,
    Values,
    check_equation,
    check_scale,
    trace,
)
from hgq_core.ops import NUMPY

FIRST, SECOND = np.array([[3.0, 0.0, 5.0], [2.0, 6.0, 1.0]]), np.array([[1.0, 4.0, 5.0], [7.0, 0.0, 2.0]])
"""Bits of the elements of two operands."""


class Slots:
    """Quantizers of data with these bits, by slot."""

    def __init__(self, **bits):
        self.counted = {slot: np.asarray(b, float)[None] for slot, b in bits.items()}

    def bits(self, slot):
        return self.counted[slot]


def cost(declaration, *bits):
    """EBOPs of a layer whose inputs have these bits."""
    slots = Slots(**({"iq": bits[0]} if len(bits) == 1 else {f"iq_{n}": b for n, b in enumerate(bits)}))
    return float(Bits(NUMPY, slots).count(trace(Layered(declaration), *(np.shape(b) for b in bits))))


@pytest.mark.parametrize(
    ("declaration", "rule"),
    [
        (Merge(Add()), lambda a, b: 0.65 * max(a, b)),
        (Merge(Subtract()), lambda a, b: 0.65 * max(a, b)),
        (Merge(Multiply()), lambda a, b: a * b),
        (Merge(Maximum()), max),
        (Merge(Minimum()), max),
        (Average(), lambda a, b: 0.65 * max(a, b)),
        (Joined(), lambda a, b: 0.0),
    ],
)
def test_cost_of_two_operands_of_different_widths(declaration, rule):
    wanted = sum(rule(a, b) for a, b in zip(FIRST.ravel(), SECOND.ravel(), strict=True))
    assert cost(declaration, FIRST, SECOND) == pytest.approx(wanted)


def test_cost_of_three_operands_leaves_out_the_narrowest():
    third = np.array([[9.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    stacked = np.stack([FIRST, SECOND, third])
    assert cost(Merge(Add()), FIRST, SECOND, third) == pytest.approx(0.65 * (stacked.sum() - stacked.min(0).sum()))
    assert cost(Merge(Multiply()), FIRST, SECOND, third) == stacked.prod(0).sum()


def test_cost_of_operands_that_broadcast():
    row = np.array([[1.0, 2.0, 9.0]])
    assert cost(Merge(Multiply()), FIRST, row) == (FIRST * row).sum()
    assert cost(Merge(Subtract()), FIRST, row[0]) == pytest.approx(0.65 * np.maximum(FIRST, row).sum())


def test_cost_of_sums():
    assert cost(Sum(), FIRST) == pytest.approx(0.65 * (3 + 5 + 2 + 6))
    assert cost(Sum((0, 1), 4.0), FIRST) == pytest.approx(0.65 * FIRST.sum())
    assert cost(Mean((0,), keepdims=True), FIRST) == pytest.approx(0.65 * (3 + 6 + 5))


def test_cost_of_contractions_of_operands_of_different_widths():
    assert cost(Contraction("bij,bkj->bik"), FIRST, SECOND) == (FIRST @ SECOND.T).sum()
    assert cost(Contraction("bij,bkl->bl"), FIRST, SECOND) == FIRST.sum() * SECOND.sum()
    assert cost(Dot((-1, -1)), FIRST, SECOND) == (FIRST @ SECOND.T).sum()
    assert cost(Dot((1, 0)), FIRST, SECOND.T) == (FIRST @ SECOND.T).sum()
    assert cost(Matmul(), FIRST, SECOND.T) == (FIRST @ SECOND.T).sum()


# --- values ---


def value(declaration, *xs):
    program = trace(declaration, *(x.shape[1:] for x in xs))
    return np.asarray(Values(NUMPY, Slots()).read(program, xs))


def test_values_are_those_of_numpy():
    rng = np.random.default_rng(1)
    x, y = rng.integers(-8, 9, (2, 3, 4)).astype(float), rng.integers(-8, 9, (2, 4, 5)).astype(float)
    assert np.array_equal(value(Matmul(), x, y), x @ y)
    wide = rng.integers(-8, 9, (2, 2, 3, 4)).astype(float)
    assert np.array_equal(value(Matmul(), wide, wide.swapaxes(2, 3)), wide @ wide.swapaxes(2, 3))
    assert np.array_equal(value(Contraction("...ij,...jk->...ik"), x, y), x @ y)
    assert np.array_equal(value(Contraction(" b...j , bjk -> b...k"), x, y), x @ y)
    assert np.array_equal(value(Dot((1, 0)), x, y), x @ y)
    assert np.array_equal(value(Dot((0, 1)), x, y[:, :, :3]), np.einsum("bij,bki->bjk", x, y[:, :, :3]))
    assert np.array_equal(value(Dot((-1, -1)), x[:, 0], x[:, 1]), (x[:, 0] * x[:, 1]).sum(1, keepdims=True))
    assert np.array_equal(value(Sum((-1, 0), 0.5), x), x.sum((1, 2)) / 2)
    assert np.array_equal(value(Joined(0), x, x[:, :1]), np.concatenate([x, x[:, :1]], 1))


@pytest.mark.parametrize(("number", "scale"), [(2, 1 / 2), (3, 1 / 4), (4, 1 / 4), (5, 1 / 4), (6, 1 / 8), (11, 1 / 8)])
def test_the_scale_of_an_average_is_the_nearest_power_of_two(number, scale):
    xs = [np.full((1, 1), float(n)) for n in range(number)]
    assert value(Average(), *xs) == scale * sum(range(number))
    assert value(Mean(), np.concatenate(xs, 1)) == scale * sum(range(number))


# --- refusals ---


@pytest.mark.parametrize(
    ("declaration", "shapes", "error", "said"),
    [
        (Merge(Subtract()), [(3,)] * 3, ConfigError, r"received 3 tensor\(s\), expected a list of two$"),
        (Merge(Multiply()), [(3,)], ConfigError, "expected a list of two or more"),
        (Merge(Maximum()), [(3,), (2,)], ShapeError, "do not broadcast together"),
        (Average(), [(3,)], ConfigError, "expected a list of two or more"),
        (Joined(1), [(3,)] * 2, ConfigError, r"axis: received 1, expected an axis of \(3,\)"),
        (Joined(), [(3, 2), (2, 2)], ShapeError, "differ in another axis"),
        (Joined(), [(3, 2), (3,)], ShapeError, "differ in another axis"),
        (Joined(), [(3,)], ConfigError, "expected a list of two or more"),
        (Sum((0, -1)), [(3,)], ConfigError, "expected different axes"),
        (Sum(()), [(3,)], ConfigError, "expected different axes"),
        (Sum((1,)), [(3,)], ConfigError, r"expected different axes of a shape \(3,\)"),
        (Sum(scale=3.0), [(3,)], ConfigError, "expected a power of two"),
        (Mean((0, 1)), [(3,)], ConfigError, "expected different axes"),
        (Contraction("ij,jk->ik"), [(3,)] * 2, ShapeError, r"einsum equation 'ij,jk->ik': expected the batch axis"),
        (Contraction("bi,bi->"), [(3,)] * 2, ShapeError, "expected the batch axis"),
        (Contraction("bi,bi->i"), [(3,)] * 2, ShapeError, "expected the batch axis"),
        (Contraction(",bi->bi"), [(), (3,)], ShapeError, "expected the batch axis"),
        (Contraction("bi,bj,bk->bijk"), [(3,)] * 3, ConfigError, "expected two operands"),
        (Contraction("bi,bi"), [(3,)] * 2, ConfigError, "an explicit output"),
        (Contraction("bii,bi->bi"), [(3, 3), (3,)], ConfigError, "without repeats"),
        (Contraction("bi,bi->bi"), [(3,)] * 3, ConfigError, r"expected a list of two$"),
        (Contraction("bi,bi->bi"), [(3,), (4,)], ShapeError, "'i' is 3 in one operand and 4 in the other"),
        (Contraction("bij,bi->bi"), [(3,), (3,)], ShapeError, "'bij' has 3 axes"),
        (Contraction("b...i,b...j->b...ij"), [(2, 3), (3,)], ShapeError, r"as many axes for '...' in each operand"),
        (Contraction("b...ij,b...ij->b...ij"), [(3,), (3,)], ShapeError, r"as many axes for '...' in each operand"),
        (Dot((-1, -1)), [(3,), (4,)], ShapeError, "different sizes"),
        (Dot((0, 1)), [(3,), (3,)], ConfigError, "expected one axis of each"),
        (Dot((-1, -1)), [(3,)], ConfigError, r"expected a list of two$"),
        (Matmul(), [(3,), (3,)], ShapeError, r"expected \(..., n, m\) and \(..., m, k\)"),
        (Matmul(), [(2, 3), (2, 3)], ShapeError, "QEinsum"),
        (Matmul(), [(2, 2, 3), (3, 2)], ShapeError, "QEinsum"),
        (Matmul(), [(2, 2, 3), (1, 3, 2)], ShapeError, "with the same axes"),
    ],
)
def test_what_does_not_fit_is_refused(declaration, shapes, error, said):
    with pytest.raises(HGQError, match=said) as raised:
        trace(declaration, *shapes)
    assert type(raised.value) is error


@pytest.mark.parametrize("scale", [0.0, -2.0, 3.0, 0.1, float("inf"), float("nan"), True, "2", None])
def test_a_scale_is_a_power_of_two(scale):
    with pytest.raises(ConfigError, match=r"mine: received .* expected a power of two"):
        check_scale(scale, "mine")


def test_an_equation_is_a_string():
    with pytest.raises(ConfigError, match="mine: received 3, expected a string"):
        check_equation(3, "mine")
