"""Loops over a sequence: values by their definition, EBOPs in training and in the Graph, and what is refused."""

from fractions import Fraction

import numpy as np
import pytest

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.numpy_backend import NumpyQuantizer
from hgq_core.conformance.numpy_layers import NumpyLayer
from hgq_core.cost import ebops
from hgq_core.errors import ConfigError, ShapeError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, run
from hgq_core.graph.ops import Add, Input, Lookup, Relu, Scan
from hgq_core.graph.prove import prove
from hgq_core.layers import Dense, FrameworkFunction, GRUCell, OneStep, Recurrent, SimpleRNNCell, Values, trace
from hgq_core.linear import Contract
from hgq_core.modes import Overflow, Round
from hgq_core.ops import NUMPY
from hgq_core.spec import KBI, KIF

STEPS, FEATURES, UNITS = 4, 3, 2
DATA = KIF(i0=1, f0=2, round_mode=Round.RND, overflow_mode=Overflow.SAT, homogeneous_axis=(0,))
TANH = KIF(i0=0, f0=4, round_mode=Round.RND, overflow_mode=Overflow.SAT, homogeneous_axis=(0,))
WEIGHT = KBI(b0=4, i0=1, round_mode=Round.RND, overflow_mode=Overflow.SAT, is_weight=True)


class Made(NumpyLayer):
    """A layer of NumPy with a declaration that no case has yet."""

    def __init__(self, declaration, shape, specs, weights):
        self.layer, self.specs = Layer("loop", {}, specs, weights, {}), specs
        self.program = trace(declaration, shape)
        self.mode = "infer"
        self.weights = weights
        self.quantizers = {}
        for name, slot in self.program.quantizers.items():
            made = slot.shape if slot.constant else (None, *slot.shape)
            self.quantizers[name] = NumpyQuantizer(specs[name], made)


def recurrent(**options):
    rng = np.random.default_rng(7)
    kernel, again, bias = (rng.normal(size=s) for s in ((FEATURES, UNITS), (UNITS, UNITS), (UNITS,)))
    weights = {"kernel": kernel, "recurrent_kernel": again, "bias": bias}
    specs = {"iq": DATA, "sq": TANH, "paq": TANH, "kq": WEIGHT, "rkq": WEIGHT, "bq": WEIGHT, "paq_oq": TANH}
    cell = options.pop("cell", SimpleRNNCell(units=UNITS))
    return Made(Recurrent(cell, **options), (STEPS, FEATURES), specs, weights)


def graph_of(layer):
    builder = GraphBuilder()
    formats = Formats.of(*(np.full((STEPS, FEATURES), v) for v in (1, 3, 6)))
    x = builder.add(Input((STEPS, FEATURES), formats), name="x")
    return builder.build([layer.emit(builder, "rnn", [x])])


def results(layer, *inputs):
    """All results of a layer."""
    layer.mode = "infer"
    return Values(NUMPY, layer).read_all(layer.program, inputs)


def data(rows=6):
    return np.random.default_rng(1).integers(-250, 251, (rows, STEPS, FEATURES)) / 64


def rounded(value, f, i):
    """Round half up to a grid with a sign, saturated: by definition."""
    code = int((value * 2**f + Fraction(1, 2)).__floor__())
    return Fraction(max(-(2 ** (i + f)), min(2 ** (i + f) - 1, code)), 2**f)


def by_definition(layer, x):
    kernel, again, bias = ([rounded(Fraction(float(v)), 3, 1) for v in np.ravel(w)] for w in layer.weights.values())
    ys = []
    for row in x:
        state, outputs = [Fraction(0)] * UNITS, []
        for item in row:
            inner = [rounded(Fraction(float(v)), 2, 1) for v in item]
            state = [
                rounded(
                    sum(inner[n] * kernel[n * UNITS + u] for n in range(FEATURES))
                    + sum(state[n] * again[n * UNITS + u] for n in range(UNITS))
                    + bias[u],
                    4,
                    0,
                )
                for u in range(UNITS)
            ]
            outputs.append([float(v) for v in state])
        ys.append(outputs)
    return np.array(ys)


@pytest.mark.parametrize("sequences", [True, False])
def test_values_are_those_of_the_definition_and_of_the_graph(sequences):
    layer = recurrent(return_sequences=sequences)
    x = data()
    y = layer.forward([x], "infer")
    wanted = by_definition(layer, x)
    assert np.unique(wanted).size > 8
    assert np.array_equal(y, wanted if sequences else wanted[:, -1])
    graph = graph_of(layer)
    assert np.array_equal(run(graph, x), y)
    assert sum(isinstance(node.op, Scan) for node in graph) == 1
    assert not prove(graph).findings


def test_reverse_runs_from_the_last_item_and_leaves_outputs_at_their_place():
    layer = recurrent(return_sequences=True)
    x = data()
    step = next(step for step in layer.program.steps if type(step.kind).__name__ == "Scanned")
    forward = layer.forward([x[:, ::-1]], "infer")

    def backward(t, x):
        cell, nothing = SimpleRNNCell(units=UNITS), t.constant(np.zeros((FEATURES, UNITS)))
        state = t.op(Contract("bti,io->bo"), x, nothing, share=0.0)
        return t.scan("", cell.step, cell.enter(t, t.quantized("iq", x, rows=1)), state, reverse=True)

    assert not step.kind.reverse
    layer.program = trace(backward, (STEPS, FEATURES))
    assert np.array_equal(layer.forward([x], "infer")[:, ::-1], forward)
    assert np.array_equal(run(graph_of(layer), x)[:, ::-1], forward)


@pytest.mark.parametrize(("factor", "built"), [(-1, STEPS), (1, 1), (3, 3)])
def test_ebops_are_those_of_one_step_times_the_steps_that_are_built(factor, built):
    layer = recurrent(parallelization_factor=factor)
    # By hand: kernels and bias of 4 bits each; saturating data count all their bits, of input 4, of state 5.
    bits = {name: layer.quantizers[name].bits() for name in ("iq", "sq", "kq", "rkq", "bq")}
    one = (bits["iq"][0] @ bits["kq"]).sum() + (bits["sq"][0] @ bits["rkq"]).sum() + bits["bq"].sum()
    assert layer.ebops() == pytest.approx(built * one, rel=1e-12)
    assert ebops(graph_of(layer)) == pytest.approx(built * one, rel=1e-12)


def test_weights_are_quantized_once_before_the_loop():
    layer = recurrent()
    asked = []
    quantized = layer.quantized
    layer.quantized = lambda slot, x: asked.append(slot) or quantized(slot, x)
    layer.forward([data()], "infer")
    assert {slot: asked.count(slot) for slot in ("kq", "rkq", "bq", "iq", "sq")} == {
        "kq": 1, "rkq": 1, "bq": 1, "iq": 1, "sq": STEPS,
    }  # fmt: skip


def test_a_table_in_a_loop_is_one_of_the_body():
    tanh = FrameworkFunction(np.tanh)
    layer = recurrent(cell=SimpleRNNCell(units=UNITS, activation=tanh), return_sequences=True)
    graph, x = graph_of(layer), data()
    scan = next(node.op for node in graph if isinstance(node.op, Scan))
    assert sum(isinstance(node.op, Lookup) for node in scan.body) == 1
    assert np.array_equal(run(graph, x), layer.forward([x], "infer"))
    assert ebops(graph) == pytest.approx(layer.ebops(), rel=1e-12)
    assert layer.ebops() > recurrent().ebops()


def state_of(t, x):
    return t.op(Relu(), t.call("first", Dense(UNITS), x))


@pytest.mark.parametrize(
    ("cell", "error", "message"),
    [
        (lambda t, x, h: h, ConfigError, r"the cell of 'loop' returned 1, expected its output and 1 next state"),
        (lambda t, x, h: (h, h, h), ConfigError, "expected its output and 1 next state"),
        (lambda t, x, h: (x, x), ShapeError, r"received states \[\(4, 2\)\] and returned \[\(3,\)\]"),
        (lambda t, x, h: (t.weight("w", "wq", (4, 2)), h), ConfigError, "returned a constant"),
        (lambda t, x, h: (t.scan("in", lambda t, y: (y,), x), h), ConfigError, "has a step Scanned"),
    ],
)
def test_cells_that_a_loop_cannot_repeat_are_refused(cell, error, message):
    with pytest.raises(error, match=message):
        trace(lambda t, x: t.scan("loop", cell, x, state_of(t, x)), (STEPS, FEATURES))


def test_a_loop_runs_over_data_with_an_axis():
    with pytest.raises(ConfigError, match="part 'loop': received a constant, expected data"):
        trace(lambda t, x: t.op(Add(), x, t.scan("loop", lambda t, y: (y,), t.weight("w", "wq", (3,)))), (3,))
    with pytest.raises(ShapeError, match=r"received a sequence of shape \(\), expected \(steps, ...\)"):
        trace(lambda t, x: t.scan("loop", lambda t, y: (y,), x), ())
    with pytest.raises(ShapeError, match=r"a recurrent layer received rows of shape \(3,\), expected \(steps"):
        trace(Recurrent(SimpleRNNCell(units=2)), (3,))


# --- masks, states, single steps ---


def test_a_masked_step_changes_nothing_and_gives_the_output_before_it():
    layer, x = recurrent(return_sequences=True, return_state=True), data(rows=1)
    keep = np.array([[0.0, 1.0, 0.0, 1.0]])
    layer.program = trace(
        Recurrent(SimpleRNNCell(units=UNITS), return_sequences=True, return_state=True, masked=True),
        (STEPS, FEATURES),
        (STEPS,),
    )
    y, state = results(layer, x, keep)
    wanted = by_definition(layer, x[:, [1, 3]])[0]
    assert np.array_equal(y[0], [np.zeros(UNITS), wanted[0], wanted[0], wanted[1]])
    assert np.array_equal(state[0], wanted[1])


def test_a_layer_goes_on_where_its_states_stopped():
    layer, x = recurrent(return_sequences=True), data()
    whole = layer.forward([x], "infer")
    cell = SimpleRNNCell(units=UNITS)
    layer.program = trace(Recurrent(cell, return_sequences=True, return_state=True), (2, FEATURES))
    first, state = results(layer, x[:, :2])
    layer.program = trace(Recurrent(cell, return_sequences=True), (2, FEATURES), (UNITS,))
    assert np.array_equal(np.concatenate([first, layer.forward([x[:, 2:], state], "infer")], axis=1), whole)


def test_one_step_is_what_the_loop_does_in_each():
    layer, x = recurrent(return_sequences=True), data()
    whole = layer.forward([x], "infer")
    layer.program = trace(OneStep(SimpleRNNCell(units=UNITS)), (FEATURES,), (UNITS,))
    state = np.zeros((len(x), UNITS))
    for step in range(STEPS):
        y, state = results(layer, x[:, step], state)
        assert np.array_equal(y, whole[:, step])


@pytest.mark.parametrize(
    ("declaration", "shapes", "message"),
    [
        (Recurrent(GRUCell(units=2)), [(4, 3), (3,)], r"initial_state: received rows of shapes \[\(3,\)\]"),
        (Recurrent(GRUCell(units=2), masked=True), [(4, 3), (3,)], r"mask: received rows of shape \(3,\), expected"),
        (OneStep(GRUCell(units=2)), [(3,), (3,)], r"states: received rows of shapes \[\(3,\)\], expected \[\(2,\)\]"),
        (OneStep(GRUCell(units=2)), [(4, 3), (2,)], r"a recurrent cell received rows of shape \(4, 3\)"),
    ],
)
def test_states_and_masks_of_another_size_are_refused(declaration, shapes, message):
    with pytest.raises(ShapeError, match=message):
        trace(declaration, *shapes)
