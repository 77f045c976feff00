"""What may happen to a number before its first quantizer, and which tensors hold such numbers."""

import numpy as np
import pytest

from hgq_core.errors import GraphError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, acts_on_real, prove, real_tensors, run
from hgq_core.graph import ops as op
from hgq_core.modes import Overflow, Round

X = np.array([[[-1.3, 0.2, 7.1], [2.6, -0.4, 0.9]]])

EXACT = {
    "relu": (op.Relu(), np.maximum(X, 0)),
    "reshape": (op.Reshape((6,)), X.reshape(1, 6)),
    "transpose": (op.Transpose((1, 0)), X.transpose(0, 2, 1)),
    "slice": (op.Slice((0, 1), (2, 3), (1, 1)), X[:, :, 1:]),
    "pad": (op.Pad(((1, 0), (0, 0))), np.pad(X, ((0, 0), (1, 0), (0, 0)))),
    "broadcast": (op.Broadcast((4, 2, 3)), np.broadcast_to(X, (1, 4, 2, 3))),
    "repeat": (op.Repeat(2, 0), np.repeat(X, 2, axis=1)),
    "gather": (op.Gather(np.array([2, 0]), 1), X[:, :, [2, 0]]),
    "maximum of a window": (op.Pool("max", (2,), (1,), ((0, 0),)), X.max(axis=1, keepdims=True)),
    "negation": (op.Negate(), -X),
    "maximum of an axis": (op.Reduce("max", (0,)), X.max(axis=1)),
}
ARITHMETIC = {
    "sum of a window": op.Pool("sum", (2,), (1,), ((0, 0),)),
    "sum of an axis": op.Reduce("sum", (0,)),
    "minimum of an axis": op.Reduce("min", (0,)),
    "limits": op.Clip(0, 1),
}


def before_a_quantizer(operation):
    builder = GraphBuilder()
    x = builder.add(op.Input((2, 3)), name="x")
    y = builder.add(operation, x, name="y", label="layer")
    return builder.build([builder.add(op.Quantize(Formats.of(1, 4, 2), Round.RND, Overflow.SAT), y, name="q")])


@pytest.mark.parametrize("name", EXACT)
def test_what_moves_or_selects_may_come_before_the_first_quantizer(name):
    operation, moved = EXACT[name]
    graph = before_a_quantizer(operation)
    assert acts_on_real(operation)
    assert real_tensors(graph) == {"x", "y"}
    assert prove(graph).formats["q"].broadcast_to(graph["q"].shape).f.max() == 2
    np.testing.assert_array_equal(run(graph, X), np.clip(np.floor(moved * 4 + 0.5) / 4, -16, 15.75))


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_may_not(name):
    assert not acts_on_real(ARITHMETIC[name])
    with pytest.raises(GraphError, match=r"'y' \(layer 'layer'\) acts on an input that is not quantized"):
        prove(before_a_quantizer(ARITHMETIC[name]))


def test_an_input_with_formats_is_not_real():
    builder = GraphBuilder()
    x = builder.add(op.Input((3,), Formats.of(1, 2, 2)), name="x")
    assert real_tensors(builder.build([builder.add(op.Relu(), x)])) == set()


@pytest.mark.parametrize(("operation", "allowed"), [(op.Maximum(), True), (op.Minimum(), False), (op.Add(), False)])
def test_of_two_inputs_only_the_larger_may_be_taken(operation, allowed):
    builder = GraphBuilder()
    x, y = (builder.add(op.Input((3,))) for _ in range(2))
    z = builder.add(operation, x, y)
    graph = builder.build([builder.add(op.Quantize(Formats.of(1, 4, 2), Round.RND, Overflow.SAT), z)])
    assert acts_on_real(operation) == allowed
    if allowed:
        prove(graph)
    else:
        with pytest.raises(GraphError, match="not quantized"):
            prove(graph)
