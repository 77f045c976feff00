"""The table of kinds: a row for each, EBOPs and widths by its rules, one driver of scans."""

import numpy as np
import pytest

from hgq_core.errors import GraphError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, prove, run
from hgq_core.graph import ops as op
from hgq_core.graph.integers import EXACT, IntegerArray
from hgq_core.graph.kinds import (
    KINDS,
    Operand,
    cost_of,
    counted_of,
    evaluate_graph,
    evaluate_operation,
    has_no_batch,
    kind_of,
    scanned,
)
from hgq_core.graph.shapes import output_shape
from hgq_core.ops import NUMPY


def test_every_operation_has_a_row():
    assert set(KINDS) == set(op.Operation.__args__)


class Stranger:
    """An operation that nobody gave a row."""


@pytest.mark.parametrize(
    "ask",
    [
        kind_of,
        lambda x: evaluate_operation(NUMPY, x, []),
        lambda x: cost_of(NUMPY, x, [], [], ()),
        lambda x: counted_of(NUMPY, x, [], [], ()),
        lambda x: output_shape(x, [], constant=[]),
        lambda x: has_no_batch(x, []),
        lambda x: GraphBuilder().add(x),
    ],
    ids=["row", "value", "cost", "widths", "shape", "batch", "builder"],
)
def test_a_kind_without_a_row_is_an_error_everywhere(ask):
    with pytest.raises(GraphError, match=r"Stranger is no kind of node .*expected one of Input, Constant, .*Scan"):
        ask(Stranger())


def test_an_input_has_no_value():
    with pytest.raises(GraphError, match="give one for each Input"):
        evaluate_operation(NUMPY, op.Input((2,)), [])


DATA, CONSTANT = Operand((2,)), Operand((2,), constant=True)
WIDE, NARROW = np.array([[3.0, 5.0]]), np.array([[1.0, 2.0]])


@pytest.mark.parametrize("operation", [op.Add(), op.Subtract(), op.Multiply()])
def test_an_affine_map_by_constants_passes_widths_on_where_it_costs_nothing(operation):
    def counted(*bits, operands):
        return counted_of(NUMPY, operation, list(bits), operands, (3, 2))

    assert counted(WIDE, None, operands=[DATA, CONSTANT]).tolist() == [[[3.0, 5.0]] * 3]
    assert counted(None, WIDE, operands=[CONSTANT, DATA]).tolist() == [[[3.0, 5.0]] * 3]
    assert counted(WIDE, NARROW[0], operands=[DATA, CONSTANT]) is None
    assert counted(None, None, operands=[DATA, CONSTANT]) is None
    assert counted(WIDE, NARROW, operands=[DATA, DATA]) is None


@pytest.mark.parametrize(
    "operation",
    [op.Relu(), op.Clip(0, 1), op.Negate(), op.Reshape((2,)), op.Transpose((0,)), op.Slice((0,), (2,), (1,))],
)
def test_what_selects_or_moves_passes_widths_on_and_costs_nothing(operation):
    assert counted_of(NUMPY, operation, [WIDE], [DATA], (2,)).tolist() == WIDE.tolist()
    assert counted_of(NUMPY, operation, [None], [DATA], (2,)) is None
    assert cost_of(NUMPY, operation, [WIDE], [DATA], (2,)) == 0.0


@pytest.mark.parametrize("operation", [op.Maximum(), op.Minimum()])
def test_one_of_two_numbers_is_no_wider_than_the_wider(operation):
    wide, other = WIDE, np.array([[4.0, 4.0]])
    assert counted_of(NUMPY, operation, [wide, other], [DATA, DATA], (2,)).tolist() == [[4.0, 5.0]]
    assert counted_of(NUMPY, operation, [wide, None], [DATA, DATA], (2,)) is None


def test_the_largest_element_is_no_wider_than_the_widest():
    rows = np.array([[[3.0, 5.0], [4.0, 1.0]]])
    assert counted_of(NUMPY, op.Reduce("max", (0,)), [rows], [Operand((2, 2))], (2,)).tolist() == [[4.0, 5.0]]
    kept = op.Reduce("min", (1,), keepdims=True)
    assert counted_of(NUMPY, kept, [rows], [Operand((2, 2))], (2, 1)).tolist() == [[[5.0], [4.0]]]
    assert counted_of(NUMPY, op.Reduce("sum", (0,)), [rows], [Operand((2, 2))], (2,)) is None


def test_a_shared_width_counts_for_every_element():
    shared, (a, b) = np.array([[3.0]]), (Operand((2,)), Operand((2, 4), constant=True))
    kernel = np.full((1, 1), 2.0)
    assert cost_of(NUMPY, op.Contract("bi,io->bo"), [shared, kernel], [a, b], (4,)) == 2 * 4 * 3 * 2
    assert cost_of(NUMPY, op.Reduce("max", (0,)), [shared], [a], ()) == 3
    assert counted_of(NUMPY, op.Repeat(2, 0), [shared], [a], (4,)).tolist() == [[3.0] * 4]
    assert cost_of(NUMPY, op.Add(), [shared, kernel[0]], [a, CONSTANT], (2,)) == 2 * 2


@pytest.mark.parametrize("operation", [op.Contract("bi,bi->b"), op.Multiply(), op.Maximum(), op.Add()])
def test_what_carries_no_counted_width_costs_nothing(operation):
    assert cost_of(NUMPY, operation, [WIDE, None], [DATA, DATA], (2,)) == 0.0


def test_a_scan_costs_its_body_in_every_step():
    body = GraphBuilder()
    x, h = (body.add(op.Input((2,), Formats.of(1, [2, 2], 0))) for _ in range(2))
    y = body.add(op.Multiply(), x, h)
    graph = body.build([y, y])
    scan = op.Scan(graph, 5)
    assert cost_of(NUMPY, scan, [None, None], [Operand((5, 2)), Operand((2,))], (5, 2)) == 5 * 2 * 4


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_keeps_results_at_the_place_of_their_inputs(reverse):
    scan = op.Scan(None, 3, reverse)
    total = scanned(NUMPY, scan, [np.array([[1.0, 2.0, 4.0]]), np.zeros(1)], lambda x, h: (x + h, x + h))
    assert total.tolist() == ([[7.0, 6.0, 4.0]] if reverse else [[1.0, 3.0, 7.0]])


def test_constants_and_comparisons_are_exact_among_exact_numbers():
    """2**53 + 1 is no float64: neither constants nor the results of comparisons may enter a sum as floats."""
    builder = GraphBuilder()
    x = builder.add(op.Input((1,)))
    big, one = (builder.add(op.Constant.of([value])) for value in (2.0**53, 1.0))
    total = builder.add(op.Add(), big, one)
    unequal = builder.add(op.Compare("=="), one, one)
    graph = builder.build([builder.add(op.Add(), x, total, unequal)])
    assert int(evaluate_graph(EXACT, graph, [IntegerArray.of(np.zeros((1, 1)))])[0].at(0)[0, 0]) == 2**53 + 2


def test_a_graph_of_constants_alone_runs_on_exact_numbers():
    builder = GraphBuilder()
    big, small = (builder.add(op.Constant.of([value])) for value in (2.0**60, 2.0**-60))
    product = builder.add(op.Multiply(), builder.add(op.Add(), big, small), builder.add(op.Constant.of([0.0])))
    graph = builder.build([product])
    assert not prove(graph).exact_in(53)
    assert run(graph).tolist() == [[0.0]]
