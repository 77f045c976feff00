"""The interpreter: one meaning on floats and on integers, and nothing but representable numbers enters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core.errors import DataError, FormatError, GraphError, ShapeError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, prove, run
from hgq_core.graph import ops as op
from hgq_core.graph.evaluate import evaluate, lookup_values, quantize_values
from hgq_core.graph.integers import IntegerArray
from hgq_core.modes import Overflow, Round

FORMATS = Formats.of(1, [2, 3], [2, 1])


def chain(*operations, formats=FORMATS, shape=(2,)):
    b = GraphBuilder()
    x = b.add(op.Input(shape, formats))
    for operation in operations:
        x = b.add(operation, x)
    return b.build([x])


@given(seed=st.integers(0, 10**6))
def test_floats_equal_integers_on_random_graphs(random_graph, seed):
    graph, x = random_graph(seed)
    exact = evaluate(graph, [IntegerArray.of(x)])[0]
    if any(abs(n // (n & -n or 1)) > 2**53 for n in map(int, exact.integers.flat)):
        with pytest.raises(FormatError, match="narrow the output"):
            run(graph, x)
        return
    got = run(graph, x)
    np.testing.assert_array_equal(got, IntegerArray.of(exact).values)
    assert got.dtype == np.float64
    assert not np.signbit(got[got == 0]).any()
    if prove(graph).exact_in(53):
        np.testing.assert_array_equal(evaluate(graph, [x])[0], got)


def wide_square(narrow):
    """``narrow(x * x)`` where the square has 58 bits, or 29 if the lower bits of x are empty."""
    b = GraphBuilder()
    x = b.add(op.Input((1,), Formats.of(0, 29, 0)))
    square = b.add(op.Multiply(), x, x)
    kept = op.Quantize(Formats.of(0, 8, 0), Round.TRN, Overflow.WRAP)
    return b.build([b.add(kept, square) if narrow else square])


def test_what_float64_would_round_runs_on_integers():
    graph, x = wide_square(narrow=True), 2**29 - 3
    assert not prove(graph).exact_in(53)
    assert run(graph, [[float(x)]]).tolist() == [[x * x % 2**8]]
    assert float(x) * float(x) % 2**8 != x * x % 2**8


def test_a_result_that_has_no_float64_is_refused_not_rounded():
    with pytest.raises(ValueError, match="more than 53 bits"):
        run(wide_square(narrow=False), [[2.0**29 - 3]])
    assert run(wide_square(narrow=False), [[2.0**28]]).tolist() == [[2.0**56]]


def test_several_outputs_are_a_tuple():
    b = GraphBuilder()
    x = b.add(op.Input((2,), FORMATS))
    first, second = run(b.build([b.add(op.Relu(), x), x]), [[-1.0, 0.5]])
    assert (first.tolist(), second.tolist()) == ([[0.0, 0.5]], [[-1.0, 0.5]])


@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        ([[np.nan, 0]], DataError, "'input' contains NaN or infinity"),
        ([[0, -np.inf]], DataError, "NaN or infinity"),
        ([[1.0, 2.0, 3.0]], ShapeError, r"received shape \(1, 3\), expected \(batch, 2\)"),
        ([1.0, 2.0], ShapeError, "expected"),
        ([[0.0, 0.0], [4.0, 0.0]], DataError, r"4.0 at \(1, 0\) is not representable"),
        ([[0.0, 0.25]], DataError, r"0.25 at \(0, 1\) is not representable"),
    ],
)
def test_bad_inputs_are_refused(x, error, says):
    with pytest.raises(error, match=says):
        run(chain(), np.array(x))


def test_the_number_of_inputs_is_checked():
    with pytest.raises(GraphError, match=r"1 input\(s\) \['input'\], received 2"):
        run(chain(), [[0.0, 0.0]], [[0.0, 0.0]])


def test_a_table_refuses_what_its_input_format_does_not_hold():
    table = op.Lookup(FORMATS, (np.arange(32), np.arange(32)), 0, np.array([0, 1]))
    graph = chain(table, formats=Formats.of(1, 4, 2))
    assert run(graph, [[-4.0, -0.5]]).tolist() == [[16, 31]]
    for outside in ([4.0, 0.0], [0.0, 0.25], [-4.25, 0.0]):
        with pytest.raises(DataError, match="a table received a number"):
            run(graph, [outside])


def test_another_kind_of_array_must_say_how_it_quantizes():
    with pytest.raises(TypeError, match=r"quantize_values\.register"):
        quantize_values("x", op.Quantize(FORMATS, Round.RND, Overflow.SAT))
    with pytest.raises(TypeError, match=r"lookup_values\.register"):
        lookup_values("x", op.Lookup(Formats.of([0], 0, 0), (np.arange(1),), 0, np.array([0])))


def test_a_reversed_scan_runs_from_the_end():
    body = GraphBuilder()
    x, state = (body.add(op.Input((), Formats.of(1, 6, 0))) for _ in range(2))
    new = body.add(op.Add(), x, body.add(op.Add(), state, state))
    inner = body.build([new, new])
    b = GraphBuilder()
    inputs = [b.add(op.Input(shape, Formats.of(1, 6, 0))) for shape in ((3,), ())]
    graph = b.build([b.add(op.Scan(inner, 3, reverse=True), *inputs)])
    assert run(graph, [[1.0, 2, 3]], [5.0]).tolist() == [[1 + 2 * (2 + 2 * 13), 2 + 2 * 13, 13]]
