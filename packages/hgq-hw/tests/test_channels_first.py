"""Layers that want channels last in a network of channels first: no transposition is left where two cancel."""

import numpy as np
import pytest
from hw_graphs import formats, weights

from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, run
from hgq_core.graph.ops import (
    Add,
    Clip,
    Compare,
    Constant,
    Contract,
    Convolve,
    Input,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Negate,
    Pool,
    Quantize,
    Relu,
    Reshape,
    Select,
    Subtract,
    Transpose,
)
from hgq_core.modes import Overflow, Round
from hgq_hw import da4ml, hls4ml, vectors
from hgq_hw.passes import cancel_transposes


class Net:
    """A network of channels first, whose layers with windows bring their own transpositions."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.builder = GraphBuilder()

    def __call__(self, op, *inputs):
        return self.builder.add(op, *inputs)

    def shape(self, x):
        return self.builder.shape(x)

    def last(self, x):
        rank = len(self.shape(x))
        return self(Transpose((*range(1, rank), 0)), x)

    def first(self, x):
        rank = len(self.shape(x))
        return self(Transpose((rank - 1, *range(rank - 1))), x)

    def quantize(self, x, k=1):
        return self(Quantize(formats(self.rng, self.shape(x), k=k), Round.RND_CONV, Overflow.SAT), x)

    def convolution(self, x, filters):
        x = self.last(x)
        rank = len(self.shape(x)) - 1
        x = self.quantize(x)
        kernel = self(Constant.of(weights(self.rng, (*(2,) * rank, self.shape(x)[-1], filters)), 4))
        x = self(Convolve((1,) * rank, ((0, 1),) * rank, (1,) * rank), x, kernel)
        return self.first(self(Add(), x, self(Constant.of(weights(self.rng, (filters,))))))

    def pool(self, x, kind):
        x = self.last(x)
        rank = len(self.shape(x)) - 1
        return self.first(self(Pool(kind, (2,) * rank, (2,) * rank, ((0, 0),) * rank), x))

    def build(self, *outputs):
        return self.builder.build(list(outputs))


def two_dimensional():
    """Convolution, relu, maximum, a residual block with a batch normalisation, average, flatten, dense."""
    net = Net()
    x = net(Relu(), net.convolution(net(Input((2, 8, 8))), 3))
    x = net.pool(x, "max")
    scale, offset = (net(Constant.of(weights(net.rng, (3, 1, 1), sparse=0))) for _ in range(2))
    x = net(Relu(), x)  # what a convolution and a sum read
    y = net(Add(), net(Multiply(), net.convolution(x, 3), scale), offset)
    x = net.pool(net(Add(), net(Relu(), y), x), "sum")
    x = net.quantize(net.convolution(net.quantize(x), 4), k=0)
    x = net(Reshape((16,)), x)
    return net.build(net(Contract("bi,io->bo"), x, net(Constant.of(weights(net.rng, (16, 3)), 4))))


def one_dimensional():
    net = Net(1)
    x = net(Relu(), net.convolution(net(Input((3, 8))), 4))
    x = net.pool(net.quantize(net.convolution(x, 2), k=0), "max")
    return net.build(x)


def transposes(nodes):
    return sum(isinstance(node.op, Transpose) for node in nodes)


CASES = {
    "two dimensions": (two_dimensional, 2),  # on the host, and before elements are put in a row
    "one dimension": (one_dimensional, 2),  # on the host, and at the output
}


@pytest.mark.parametrize(("make", "left"), CASES.values(), ids=CASES)
def test_only_the_transpositions_at_the_ends_are_left(make, left):
    graph = make()
    rewritten = cancel_transposes(graph)
    assert transposes(graph) > 4
    assert transposes(rewritten) == left
    x = vectors(graph, random=60)
    np.testing.assert_array_equal(run(rewritten, *x), run(graph, *x))


@pytest.mark.parametrize("make", [make for make, _ in CASES.values()], ids=CASES)
def test_the_logic_is_exact(make):
    graph = make()
    x = vectors(graph, random=40)
    np.testing.assert_array_equal(da4ml.lower(graph).predict(*x), run(graph, *x))


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("make", [pytest.param(two_dimensional, marks=pytest.mark.slow), one_dimensional])
def test_the_compiled_project_is_exact_without_transpositions_inside(make, tmp_path):
    graph = make()
    model = hls4ml.lower(graph, tmp_path / "project")
    kinds = [layer.class_name for layer in model.model_graph.get_layers()]
    assert kinds.count("Transpose") <= 1
    model.compile()
    x = vectors(graph, random=200)
    assert np.count_nonzero(model.predict(*x) != run(graph, *x)) == 0
    assert graph.outputs[0] in model.layers


def between(net, x, y):
    """Every operation on single elements, with formats, constants and tables that differ between elements."""
    shape = net.shape(x)
    x = net.quantize(net(Negate(), x))
    x = net(Select(), net(Compare("<"), x, y), net(Clip(-1.5, 1.0), x), net(Minimum(), net(Maximum(), x, y), x))
    x = net(Multiply(), x, net(Constant.of(weights(net.rng, shape[1:], sparse=0), np.full(shape[1:], 3))))
    x = net(Add(), net(Subtract(), net(Constant.of(0.25)), net(Relu(), x)), y)
    held = Formats.of(1, 1, 2).broadcast_to(shape)
    x = net(Quantize(held, Round.RND, Overflow.SAT), x)
    tables = tuple(net.rng.integers(-8, 8, 16) for _ in range(3))
    return net(Lookup(held, tables, 2, net.rng.integers(0, 3, shape), net.rng.integers(1, 5, shape)), x)


@pytest.mark.parametrize("axes", [(1, 2, 0), (2, 1, 0), (0, 2, 1)])
def test_whatever_acts_on_single_elements_may_lie_between(axes):
    net = Net(3)
    x, y = (net(Input((2, 3, 4), Formats.of(1, 2, 2))) for _ in range(2))
    back = tuple(int(a) for a in np.argsort(axes))
    result = between(net, net(Transpose(axes), x), net(Transpose(axes), y))
    graph = net.build(net(Transpose(back), result))
    rewritten = cancel_transposes(graph)
    assert transposes(rewritten) == 0
    assert len(list(rewritten)) == len(list(graph)) - 3
    inputs = vectors(graph, random=200)
    np.testing.assert_array_equal(run(rewritten, *inputs), run(graph, *inputs))


def test_a_tensor_that_is_read_both_ways_is_computed_once():
    net = Net()
    x = net(Transpose((1, 0)), net(Input((2, 3), Formats.of(1, 2, 2))))
    y = net(Relu(), x)
    graph = net.build(net(Transpose((1, 0)), y), y)
    rewritten = cancel_transposes(graph)
    assert [type(node.op) for node in rewritten] == [Input, Relu, Transpose]
    x = vectors(graph)
    for a, b in zip(run(rewritten, *x), run(graph, *x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_cannot_be_cancelled_stays_as_it_is():
    net = Net()
    x, y = (net(Input((3, 2), Formats.of(1, 2, 2))) for _ in range(2))
    turned = net(Transpose((1, 0)), x)
    other = net(Add(), net(Relu(), turned), net(Reshape((2, 3)), y))
    graph = net.build(net(Transpose((1, 0)), other))
    assert cancel_transposes(graph) is graph


def test_transpositions_in_a_row_become_one():
    net = Net()
    x = net(Input((2, 3, 4), Formats.of(1, 2, 2)))
    graph = net.build(net(Transpose((1, 2, 0)), net(Transpose((1, 2, 0)), x)))
    rewritten = cancel_transposes(graph)
    assert [node.op.axes for node in rewritten if isinstance(node.op, Transpose)] == [(2, 0, 1)]
    values = np.arange(24).reshape(1, 2, 3, 4) / 4 - 3
    np.testing.assert_array_equal(run(rewritten, values), run(graph, values))
