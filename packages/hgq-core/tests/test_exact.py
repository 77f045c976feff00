"""Numbers beyond what float64 holds: the interpreter and the prover stay exact, or say why not."""

from fractions import Fraction

import numpy as np
import pytest

from hgq_core.errors import DataError, FormatError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, prove, run
from hgq_core.graph import ops as op
from hgq_core.modes import Overflow, Round


class Builder:
    """A graph of one input ``x``, written node by node."""

    def __init__(self, formats, shape=(1,)):
        self.b = GraphBuilder()
        self.x = self.b.add(op.Input(shape, formats))

    def constant(self, *values):
        return self.b.add(op.Constant.of(np.array(values)))

    def add(self, operation, *inputs):
        return self.b.add(operation, *inputs)

    def graph(self, *outputs):
        return self.b.build(list(outputs))


WIDE = Formats.of(1, 60, 0)
NARROW = Formats.of(1, 3, 0)


def test_a_padded_sum_is_as_wide_as_it_is():
    g = Builder(Formats.of(0, 34, 0), (1, 2))
    total = g.add(op.Pool("sum", (3,), (1,), ((1, 1),)), g.x)
    square = g.add(op.Contract("bcd,bcd->bc"), total, total)
    proof = prove(g.graph(square))
    assert (proof.formats[square].k.max(), proof.formats[square].i.max()) == (0, 69)


def test_a_padded_convolution_may_have_a_tiny_weight():
    g = Builder(Formats.of(1, 4, 12), (4, 1))
    kernel = [1.5, 3 * 2.0**-47, -1.25]
    weights = g.b.add(op.Constant.of(np.array(kernel).reshape(3, 1, 1)))
    graph = g.graph(
        g.add(
            op.Quantize(Formats.of(1, 6, 14), Round.TRN, Overflow.SAT),
            g.add(op.Convolve((1,), ((1, 1),), (1,)), g.x, weights),
        )
    )
    x = np.array([[[1.0], [-2.5], [0.25], [3.0]]])
    padded = [0.0, *x.ravel(), 0.0]
    for n, got in enumerate(run(graph, x).ravel()):
        exact = sum(Fraction(padded[n + t]) * Fraction(w) for t, w in enumerate(kernel))
        assert got == (exact * 2**14).__floor__() / 2**14


def test_selection_and_comparison_beside_a_wide_node():
    g = Builder(WIDE)
    chosen = g.add(op.Select(), g.x, g.constant(5.0), g.constant(7.0))
    small = g.add(op.Compare("<"), g.x, g.constant(3.0))
    for x, wanted in ((3.0, (5.0, 0.0)), (0.0, (7.0, 1.0))):
        assert tuple(float(y[0, 0]) for y in run(g.graph(chosen, small), [[x]])) == wanted


def test_sums_of_constants_do_not_round():
    g = Builder(NARROW)
    huge = g.constant(2.0**60)
    total = g.add(op.Add(), g.x, g.add(op.Add(), huge, g.constant(1.0)))
    assert run(g.graph(g.add(op.Subtract(), total, huge)), [[1.0]]) == 2.0


def test_a_constant_may_be_an_output_of_a_wide_graph():
    g = Builder(WIDE)
    assert run(g.graph(g.x, g.constant(3.0)), [[1.0], [2.0]])[1].tolist() == [[3.0], [3.0]]


def test_a_wide_format_holds_exactly_what_it_says():
    graph = Builder(Formats.of(0, 60, 0))
    graph = graph.graph(graph.add(op.Relu(), graph.x))
    assert run(graph, [[2.0**60 - 2.0**8]]) == 2.0**60 - 2.0**8
    with pytest.raises(DataError, match="not representable"):
        run(graph, [[2.0**60]])


@pytest.mark.parametrize(
    ("formats", "round_mode", "overflow", "x", "wanted"),
    [
        (Formats.of(1, 3, 10), Round.RND, Overflow.WRAP, 1e308, 0.0),
        (Formats.of(1, 8, -1), Round.TRN, Overflow.SAT, -5e-324, -2.0),
        (Formats.of(1, -1020, 1030), Round.TRN, Overflow.SAT, 1.0, (2.0**10 - 1) * 2.0**-1030),
    ],
)
def test_numbers_at_the_ends_of_float64(formats, round_mode, overflow, x, wanted):
    b = GraphBuilder()
    q = b.add(op.Quantize(formats, round_mode, overflow), b.add(op.Input((1,))))
    assert run(b.build([q]), [[x]]) == wanted


def test_numbers_that_are_no_real_numbers_are_refused():
    g = Builder(NARROW)
    graph = g.graph(g.add(op.Relu(), g.x))
    with pytest.raises(DataError, match="complex128"):
        run(graph, np.array([[1 + 2j]]))
    with pytest.raises(DataError, match=r"beyond 2\*\*53"):
        run(graph, np.array([[2**60 + 1]]))


def test_an_output_that_float64_cannot_hold_is_refused():
    g = Builder(WIDE)
    with pytest.raises(FormatError, match="narrow the output"):
        run(g.graph(g.add(op.Add(), g.x, g.constant(2.0**-20))), [[2.0**59]])


class TestFloat32:
    """What is not exact in float32 is not called exact."""

    def test_a_sum_whose_partial_sums_are_wide_in_some_order(self):
        g = Builder(Formats.of(0, 8, 0))
        total = g.add(op.Add(), g.x, *(g.constant(v) for v in (0.0, 2.0**30, -(2.0**30))))
        assert not prove(g.graph(total)).float32_exact

    def test_a_constant_that_float32_does_not_hold(self):
        g = Builder(Formats.of(0, 1, 0))
        below = g.add(op.Compare("<"), g.x, g.constant(1 + 2.0**-25))
        proof = prove(g.graph(below))
        assert not proof.float32_exact
        assert proof.exact_in(53)

    def test_a_product_below_the_smallest_number(self):
        g = Builder(Formats.of(0, -80, 82))
        proof = prove(g.graph(g.add(op.Multiply(), g.x, g.x)))
        assert not proof.float32_exact
        assert "2**-164" in proof.findings[0].detail

    def test_a_pruned_element_beside_others_never_wraps(self):
        g = Builder(NARROW, (2,))
        q = g.add(op.Quantize(Formats.of(1, [3, -1], 0), Round.RND, Overflow.WRAP), g.x)
        assert prove(g.graph(q)).overflow == {q: "proved"}
