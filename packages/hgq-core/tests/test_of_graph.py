"""A Graph as a declaration: its readings are those of the graph; what slots it has, and what is refused."""

from dataclasses import replace
from inspect import signature

import numpy as np
import pytest

from hgq_core.conformance import compare
from hgq_core.conformance.backend import Mode
from hgq_core.conformance.built import Shelf
from hgq_core.conformance.cases_layers import NAMES
from hgq_core.conformance.numpy_backend import NumpyBackend, NumpyQuantizer
from hgq_core.conformance.numpy_layers import NumpyLayer
from hgq_core.cost import ebops, ebops_by_label
from hgq_core.errors import ConfigError, GraphError, UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder, run
from hgq_core.graph import ops as op
from hgq_core.layers import GraphLayer, attribute_of, of_graph, trace
from hgq_core.linear import Contract

MODELS = Shelf(NumpyBackend("numpy"))
FORMATS = Formats.of(1, 2, 3)


class OnNumpy(NumpyLayer):
    """The declaration of a graph with NumPy's arrays and quantizers in its slots."""

    def __init__(self, layer: GraphLayer) -> None:
        self.program, self.mode = trace(layer, *layer.input_shapes), Mode.INFER
        self.recorded, self.weights = layer.quantizers, layer.weights
        self.quantizers = {}
        for slot, what in self.program.quantizers.items():
            recorded = layer.quantizers[slot]
            self.quantizers[slot] = NumpyQuantizer(recorded.spec, what.shape if what.constant else (None, *what.shape))
            self.quantizers[slot].assign(recorded.widths)

    def _spec(self, slot):
        return self.recorded[slot].spec

    def again(self, graph):
        """The graph that the declaration gives."""
        builder = GraphBuilder()
        names = [builder.add(node.op, name=node.name) for node in graph.inputs]
        outputs = [names[n] if self.program.outputs[0] == step else "" for n, step in enumerate(self.program.inputs)]
        return builder.build([next(filter(None, outputs), None) or self.emit(builder, "", names)], graph.uncalibrated)


def entries(graph):
    """The graph with the entries of tables as numbers, whichever their units and order."""
    return Graph(
        tuple(replace(node, op=_entries(node.op), ebops_factor=_factor(node)) for node in graph), graph.outputs
    )


def _factor(node):
    """A constant, a quantizer or an input costs nothing, whatever its factor."""
    return 0.0 if isinstance(node.op, op.Constant | op.Quantize | op.Input) else node.ebops_factor


def _entries(operation):
    if isinstance(operation, op.Scan):
        return replace(operation, body=entries(operation.body))
    if not isinstance(operation, op.Lookup):
        return operation
    longest = max(map(len, operation.tables))
    padded = [np.pad(table, (0, longest - len(table))) for table in operation.tables]
    numbers = np.ldexp(np.stack(padded)[operation.index].astype(float), -operation.fraction)
    whole = np.ldexp(numbers, 20).astype(np.int64).reshape(-1, longest)
    index = np.arange(len(whole)).reshape(operation.index.shape)
    cut = tuple(row[: 2**bits] for row, bits in zip(whole, operation.formats.width.ravel(), strict=True))
    return replace(operation, tables=cut, fraction=20, index=index)


# --- the readings are those of the graph ---


@pytest.mark.parametrize("name", NAMES)
def test_it_computes_costs_and_exports_what_the_graph_does(name):
    graph, inputs = MODELS[name].graph, MODELS[name].case.inputs
    wide = [np.concatenate([x, 64 * x]) for x in inputs]
    module = OnNumpy(of_graph(graph))
    compare.equal(module.forward(wide, Mode.INFER), run(graph, *wide), f"{name}: the declaration of the graph")
    assert module.ebops() == ebops(graph)
    compare.same_graph(entries(module.again(graph)), entries(graph), f"{name}: the graph of the declaration")
    assert ebops_by_label(module.again(graph)) == ebops_by_label(graph)


@pytest.mark.parametrize("seed", range(80))
def test_it_computes_and_costs_what_any_graph_does(random_graph, seed):
    graph, x = random_graph(seed)
    module = OnNumpy(of_graph(graph))
    np.testing.assert_array_equal(module.forward([x], Mode.INFER), run(graph, x))
    assert module.ebops() == ebops(graph)
    again = module.again(graph)
    np.testing.assert_array_equal(run(again, x), run(graph, x))
    assert ebops(again) == ebops(graph)


# --- slots ---


def dense(label="dense", kernel=((0.5,), (-1.5,)), bits=((3,), (3,)), names=("iq", "kernel", "bias")):
    """A dense layer without a front end."""
    at = {"label": label}
    builder = GraphBuilder()
    full = [f"{label}/{name}" if label else name for name in names]
    x = builder.add(op.Quantize(FORMATS, "RND", "WRAP"), builder.add(op.Input((2,)), name="x"), name=full[0], **at)
    y = builder.add(Contract("bi,io->bo"), x, builder.add(op.Constant.of(kernel, bits), name=full[1], **at), **at)
    y = builder.add(op.Add(), y, builder.add(op.Constant.of([0.25], [4]), name=full[2], **at), **at)
    return builder.build([y])


def test_slots_have_the_names_of_the_nodes():
    layer = of_graph(dense())
    assert list(layer.weights) == ["dense/kernel", "dense/bias"]
    assert list(layer.quantizers) == ["dense/iq", "dense/kernel_q", "dense/bias_q"]
    assert set(layer.labels.values()) == {"dense"}
    assert [recorded.place for recorded in layer.quantizers.values()] == ["datalane", "weight", "bias"]


@pytest.mark.parametrize(
    ("label", "taken", "expected"),
    [
        ("", (), ["iq", "kernel_q", "bias_q"]),
        ("", ("iq", "kernel_q"), ["iq_2", "kernel_2_q", "bias_q"]),
        ("a.b", ("a_b_bias",), ["a.b/iq", "a.b/kernel_q", "a.b/bias_2_q"]),
    ],
)
def test_no_slot_is_called_as_something_else_of_the_front_end(label, taken, expected):
    graph = dense(label)
    layer = of_graph(graph, taken)
    assert list(layer.quantizers) == expected
    assert not {attribute_of(slot) for slot in (*layer.quantizers, *layer.weights)} & set(taken)
    assert [node.name for node in OnNumpy(layer).again(graph)] == [node.name for node in graph]


def test_constants_without_a_name_of_their_own_are_weights():
    layer = of_graph(dense("", names=("quantize", "constant", "constant_2")))
    assert list(layer.weights) == ["weight", "weight_2"]


def test_inputs_have_the_names_of_the_graph():
    builder = GraphBuilder()
    names = [builder.add(op.Input((1,)), name=name) for name in ("x", "in/put", "in_put", "1st", "trace", "lambda")]
    layer = of_graph(builder.build([builder.add(op.Concatenate(0), *names)]))
    assert list(signature(layer).parameters)[1:] == ["x", "in_put", "in_put_", "_1st", "trace_", "_lambda"]


def test_limits_of_widths_hold_what_is_recorded():
    builder = GraphBuilder()
    x = builder.add(op.Quantize(Formats.of(1, [-40, 2], [50, 3]), "TRN", "SAT"), builder.add(op.Input((2,))), name="q")
    recorded = of_graph(builder.build([x])).quantizers["q"]
    assert (recorded.spec.ic.low, recorded.spec.ic.high, recorded.spec.fc.high) == (-40, 23, 50)
    assert recorded.spec.round_mode == "TRN"
    assert recorded.spec.overflow_mode == "SAT"
    assert recorded.widths["i"].tolist() == [[-40, 2]]


def test_widths_that_are_equal_along_an_axis_may_be_one():
    builder = GraphBuilder()
    formats = Formats.of(1, [[1, 2], [1, 2], [1, 2]], 3)
    x = builder.add(op.Quantize(formats, "RND", "WRAP"), builder.add(op.Input((3, 2))), name="q")
    graph = builder.build([x])
    each, shared = (of_graph(graph, share_equal=share).quantizers["q"] for share in (False, True))
    assert each.spec.homogeneous_axis == (0,)
    assert shared.spec.homogeneous_axis == (0, 1)
    assert each.widths["i"].tolist() == [[[1, 2], [1, 2], [1, 2]]]
    assert shared.widths["i"].tolist() == [[[1, 2]]]
    data = np.random.default_rng(0).normal(size=(20, 3, 2))
    module = OnNumpy(of_graph(graph, share_equal=True))
    np.testing.assert_array_equal(module.forward([data], Mode.INFER), run(graph, data))


def test_formats_of_an_input_are_not_trained():
    builder = GraphBuilder()
    x = builder.add(op.Input((2,), FORMATS), name="x")
    graph = builder.build([builder.add(op.Multiply(), x, x)])
    module = OnNumpy(of_graph(graph))
    assert not module.recorded["x_formats"].spec.trainable
    assert module.ebops() == ebops(graph) > 0


def test_an_input_may_be_an_output():
    builder = GraphBuilder()
    x, y = builder.add(op.Input((2,)), name="x"), builder.add(op.Input((2,)), name="y")
    assert len(of_graph(builder.build([y, builder.add(op.Relu(), x), y])).graph.outputs) == 3
    program = trace(of_graph(builder.build([y, x, y])), (2,), (2,))
    assert program.outputs == (1, 0, 1)


# --- what is refused ---


def table(source, bits=1, most=1):
    """A graph with a table behind an operation."""
    builder = GraphBuilder()
    x = builder.add(op.Quantize(Formats.of(0, 1, 0), "RND", "WRAP"), builder.add(op.Input((1,))), name="q")
    x = builder.add(source, x, name="moved") if source else x
    ones = np.ones((1,), np.int64)
    lookup = op.Lookup(Formats.of(0 * ones, ones, 0 * ones), (np.array([0, most]),), 0, 0 * ones, bits and bits * ones)
    return builder.build([builder.add(lookup, x, name="table")])


def loop_in_a_loop():
    def wrapped(body, shape, states):
        builder = GraphBuilder()
        x = builder.add(op.Input(shape))
        given = [builder.add(op.Input(state)) for state in states]
        return builder, builder.add(op.Scan(body, shape[0]), x, *given, name="scan"), given

    builder = GraphBuilder()
    x, h = builder.add(op.Input((2,))), builder.add(op.Input((2,)))
    y = builder.add(op.Maximum(), x, h)
    builder, y, (h,) = wrapped(builder.build([y, y]), (3, 2), [(2,)])
    builder, y, _ = wrapped(builder.build([y, h]), (4, 3, 2), [(2,)])
    return builder.build([y])


def constant_output():
    builder = GraphBuilder()
    builder.add(op.Input((2,)))
    return builder.build([builder.add(op.Constant.of([1.0]), name="one")])


def beyond():
    builder = GraphBuilder()
    q = op.Quantize(Formats.of(1, 2, 200), "RND", "SAT")
    return builder.build([builder.add(q, builder.add(op.Input((2,))), name="dense/iq", label="dense")])


REFUSED = {
    "no graph": (object(), ConfigError, r"received a object, expected a hgq_core.graph.Graph: .*load\(path\)"),
    "a path": ("model.hgq.npz", ConfigError, r"received a str"),
    "empty": (Graph((), ()), GraphError, "0 inputs and 0 outputs, expected one of each"),
    "constant": (constant_output(), GraphError, "output 'one' is a constant.*leave it out"),
    "formats": (beyond(), UnsupportedError, "node 'dense/iq' quantizes with f of 200 bits.*-100 to 100; scale"),
    "bits": (dense(bits=((3,), (1,))), UnsupportedError, "constant 'dense/kernel' has numbers of more bits.*set its"),
    "table of a sum": (table(op.Negate()), UnsupportedError, "table 'table' reads 'moved', a Negate.*insert a Quant"),
    "table without bits": (table(None, bits=None), UnsupportedError, "table 'table' counts no bits.*give its Lookup"),
    "narrow table": (table(None, bits=0), UnsupportedError, "table 'table' has numbers of more bits than it counts"),
    "wide table": (
        table(None, 30, 2**30 - 1),
        UnsupportedError,
        "table 'table' has entries of 30 bits.*24 bits; quant",
    ),
    "loops": (loop_in_a_loop(), UnsupportedError, "node 'scan' is a loop in the body of the loop 'scan'.*unroll"),
}


@pytest.mark.parametrize(("given", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refusals_name_the_node_and_the_remedy(given, error, message):
    with pytest.raises(error, match=message):
        of_graph(given)
