"""The table of graphs: the interpreter on floats, on integers and on fractions, the prover and the file."""

from fractions import Fraction

import numpy as np
import pytest

from hgq_core.conformance import compare, expected
from hgq_core.conformance.graphs import GRAPHS, example
from hgq_core.graph import load, prove, run, save
from hgq_core.graph import ops as op
from hgq_core.graph.evaluate import evaluate
from hgq_core.graph.integers import IntegerArray


@pytest.mark.parametrize("name", GRAPHS)
def test_floats_and_integers_agree_and_stay_in_the_proved_formats(name):
    graph, inputs = example(name)
    got = run(graph, *inputs)
    compare.equal(evaluate(graph, [IntegerArray.of(x) for x in inputs])[0].values, got, f"{name}: on integers")
    proof = prove(graph)
    if proof.exact_in(53):
        compare.equal(evaluate(graph, inputs)[0] + np.zeros_like(got), got, f"{name}: on floats")
    formats = proof.formats[graph.outputs[0]]
    inside = (got >= formats.lowest) & (got <= formats.highest)
    compare.equal(inside, np.ones_like(inside), f"{name}: outputs inside the proved range")
    units = np.ldexp(got, formats.f)
    compare.equal(units, np.rint(units), f"{name}: outputs are multiples of the proved step")


@pytest.mark.parametrize("name", GRAPHS)
def test_file_round_trip(name, tmp_path):
    graph, inputs = example(name)
    loaded = load(save(graph, tmp_path / "graph.hgq.npz"))
    compare.same_graph(loaded, graph, f"{name}: load(save(graph))")
    compare.equal(run(loaded, *inputs), run(graph, *inputs), f"{name}: run(load(save(graph)), x)")


@pytest.mark.parametrize("name", [name for name in GRAPHS if name.startswith("quantize-")])
def test_quantizers_equal_the_oracle(name):
    graph, inputs = example(name)
    first, second = (node.op for node in graph if isinstance(node.op, op.Quantize))
    x = inputs[0]
    for q in (first, second):
        x = expected.fixed(x, q.formats.k, q.formats.i, q.formats.f, q.round, q.overflow)
    compare.equal(run(graph, *inputs), x, name)


def fractions(x):
    return np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(x)


def nodes_by_hand(graph, inputs):
    """Values of every node in fractions; operands aligned by the graph's own rule, the batch axis aside."""
    feed = iter(inputs)
    values = {}
    for node in graph:
        parts = [values[name] for name in node.inputs]
        values[node.name] = by_hand(node, parts, next(feed) if isinstance(node.op, op.Input) else None)
    return values[graph.outputs[0]]


def aligned(parts, shape):
    """Operands without a batch axis are constants; the others have it in front."""
    return [np.stack([np.broadcast_to(row, shape) for row in part]) for part in parts]


def by_hand(node, parts, fed):  # noqa: PLR0911 (one line per operation)
    match node.op:
        case op.Input():
            return fractions(fed)
        case op.Constant():
            return np.repeat(fractions(node.op.values)[None], 64, axis=0)
        case op.Reshape(shape=shape):
            return parts[0].reshape(-1, *shape)
        case op.Quantize(formats=q):
            return expected.fixed(parts[0], q.k, q.i, q.f, node.op.round, node.op.overflow)
    a, *rest = aligned(parts, node.shape) if not isinstance(node.op, op.Broadcast) else parts
    match node.op:
        case op.Add():
            return sum(rest, a)
        case op.Multiply():
            for b in rest:
                a = a * b
            return a
        case op.Subtract():
            return a - rest[0]
        case op.Negate():
            return -a
        case op.Maximum():
            return np.maximum.reduce([a, *rest])
        case op.Minimum():
            return np.minimum.reduce([a, *rest])
        case op.Broadcast():
            return aligned(parts, node.shape)[0]
    raise NotImplementedError(type(node.op))


@pytest.mark.parametrize("name", ["elementwise", "constant-output"])
def test_elementwise_operations_broadcast_without_the_batch_axis(name):
    graph, inputs = example(name)
    compare.equal(run(graph, *inputs), nodes_by_hand(graph, inputs), name)


def test_every_operation_occurs():
    used = {type(node.op) for name in GRAPHS for node in example(name)[0]}
    assert used == set(op.Operation.__args__)
