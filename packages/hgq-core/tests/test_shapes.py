"""What a graph may not be, said when it is built."""

import numpy as np
import pytest

from hgq_core.errors import GraphError, ShapeError
from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder, Node, run
from hgq_core.graph import ops as op
from hgq_core.modes import Overflow, Round

FORMATS = Formats.of(1, 3, 2)
ON_ONE = [
    op.Reshape((12,)),
    op.Transpose((1, 0)),
    op.Concatenate(0),
    op.Slice((0, 0), (2, 2), (1, 1)),
    op.Pad(((1, 0), (0, 0))),
    op.Broadcast((3, 4)),
    op.Repeat(2, 0),
    op.Gather(np.array([0]), 0),
    op.Reduce("sum", (0,)),
    op.Pool("max", (2,), (1,), ((0, 0),)),
    op.Quantize(FORMATS, Round.RND, Overflow.SAT),
    op.Relu(),
    op.Negate(),
    op.Clip(0, 1),
]


def builder():
    b = GraphBuilder()
    return b, b.add(op.Input((3, 4), FORMATS), name="x"), b.add(op.Constant.of(np.ones((3, 4))), name="c")


@pytest.mark.parametrize("operation", ON_ONE, ids=lambda operation: type(operation).__name__)
def test_only_data_has_the_axes_that_these_count(operation):
    b, x, constant = builder()
    b.add(operation, x)
    for folded in (constant, b.add(op.Add(), constant, constant)):
        with pytest.raises(GraphError, match=f"{type(operation).__name__} acts on a constant.*fold the constant first"):
            b.add(operation, folded)


def test_a_graph_from_nodes_is_checked_as_well():
    b, _, constant = builder()
    nodes = (*b.build([constant]).nodes, Node("bad", op.Relu(), (constant,), (3, 4)))
    with pytest.raises(GraphError, match="Relu acts on a constant"):
        Graph(nodes, ("bad",))


@pytest.mark.parametrize("operands", ["cx", "xx"])
def test_linear_operations_take_one_constant(operands):
    b = GraphBuilder()
    names = {"x": b.add(op.Input((3,), FORMATS)), "c": b.add(op.Constant.of([[1.0, 2, 3]]))}
    if operands == "cx":
        y = b.add(op.Contract("oi,bi->bo"), names["c"], names["x"])
        assert run(b.build([y]), np.array([[1.0, 1, 2]])).tolist() == [[9.0]]
    with pytest.raises(GraphError, match="Contract acts on a constant"):
        b.add(op.Contract("bi,bo->bio"), names["c"], names["c"])
    with pytest.raises(GraphError, match="Convolve acts on a constant"):
        b.add(op.Convolve((1,), ((0, 0),), (1,)), names["c"], names["c"])


def test_elementwise_operations_broadcast_constants_against_data():
    b, x, _ = builder()
    two = b.add(op.Add(), b.add(op.Constant.of(1.0)), b.add(op.Constant.of([1.0])))
    graph = b.build([b.add(op.Multiply(), x, two)])
    assert run(graph, np.full((5, 3, 4), 0.25)).tolist() == np.full((5, 3, 4), 0.5).tolist()


@pytest.mark.parametrize(
    ("operation", "operands", "error", "says"),
    [
        (op.Reshape((5,)), "x", ShapeError, "12 and 5 elements"),
        (op.Transpose((0, 0)), "x", ShapeError, "not a permutation"),
        (op.Concatenate(2), "x", ShapeError, "out of range"),
        (op.Concatenate(0), "xy", ShapeError, "differ in another axis"),
        (op.Reduce("sum", (-1,)), "x", ShapeError, "out of range"),
        (op.Slice((0,), (1,), (1,)), "x", ShapeError, "does not name every axis"),
        (op.Pad(((0, 0),)), "x", ShapeError, "does not name every axis"),
        (op.Broadcast((1, 4)), "x", ShapeError, "cannot broadcast"),
        (op.Add(), "xy", ShapeError, "do not broadcast together"),
        (op.Subtract(), "xxx", GraphError, "received 3 operand.*expected 2"),
        (op.Add(), "x", GraphError, "expected 2 or more"),
        (
            op.Quantize(Formats.of(1, [1, 1], 1), "RND", "SAT"),
            "x",
            ShapeError,
            "do not broadcast to the tensor's shape",
        ),
    ],
)
def test_operands_that_do_not_fit_are_refused(operation, operands, error, says):
    b, x, _ = builder()
    names = {"x": x, "y": b.add(op.Input((2, 2), FORMATS))}
    with pytest.raises(error, match=says):
        b.build([b.add(operation, *(names[n] for n in operands))])


def test_names_that_do_not_exist_or_occur_twice():
    b, x, _ = builder()
    graph = b.build([x])
    with pytest.raises(GraphError, match="is not a node yet"):
        b.add(op.Relu(), "y")
    with pytest.raises(GraphError, match="names must be unique"):
        Graph(graph.nodes * 2, graph.outputs)
    with pytest.raises(GraphError, match="which no earlier node gives"):
        Graph((Node("r", op.Relu(), ("x",), (3, 4)), *graph.nodes), ("r",))
    with pytest.raises(GraphError, match="no node is called 'y'"):
        _ = graph["y"]
    with pytest.raises(GraphError, match="output 'y' is not a node"):
        b.build(["y"])
    with pytest.raises(GraphError, match="more than 53 bits"):
        b.build([x, b.add(op.Constant(np.array([2**54 + 1]), np.array([0])))])


def test_a_contraction_that_moves_the_batch_axis_is_no_node():
    builder = GraphBuilder()
    x = builder.add(op.Input((4,)))
    kernel = builder.add(op.Constant.of(np.ones((4, 3))))
    with pytest.raises(ShapeError, match="the batch axis, 'b', must be the first axis"):
        builder.add(op.Contract("bi,io->ob"), x, kernel)
