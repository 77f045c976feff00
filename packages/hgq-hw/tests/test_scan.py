"""A recurrent layer in hardware: both targets unroll its loop."""

import numpy as np
import pytest

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.numpy_backend import NumpyQuantizer
from hgq_core.conformance.numpy_layers import NumpyLayer
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, run
from hgq_core.graph.ops import Input, Scan
from hgq_core.layers import GRUCell, LSTMCell, Recurrent, SimpleRNNCell, trace
from hgq_core.modes import Overflow, Round
from hgq_core.spec import KBI, KIF
from hgq_hw import da4ml, hls4ml

STEPS, FEATURES, UNITS = 4, 3, 2


class Made(NumpyLayer):
    """A recurrent layer on NumPy."""

    def __init__(self, cell, shape, overflow=Overflow.SAT, **options):
        rng = np.random.default_rng(7)
        self.program = trace(Recurrent(cell, **options), shape)
        self.weights = {name: rng.normal(size=slot.shape) for name, slot in self.program.weights.items()}
        data = KIF(i0=1, f0=2, round_mode=Round.RND, overflow_mode=overflow, homogeneous_axis=(0,))
        hidden = KIF(i0=0, f0=4, round_mode=Round.RND, overflow_mode=Overflow.SAT, homogeneous_axis=(0,))
        weight = KBI(b0=4, i0=1, overflow_mode=Overflow.SAT, is_weight=True)
        slots = self.program.quantizers
        specs = {name: weight if slot.constant else data if name == "iq" else hidden for name, slot in slots.items()}
        self.layer, self.specs = Layer("loop", {}, specs, self.weights, {}), specs
        self.mode = "infer"
        self.quantizers = {
            name: NumpyQuantizer(specs[name], slot.shape if slot.constant else (None, *slot.shape))
            for name, slot in slots.items()
        }


def graph_of(layer, steps=STEPS):
    builder = GraphBuilder()
    formats = Formats.of(*(np.full((steps, FEATURES), v) for v in (1, 3, 6)))
    x = builder.add(Input((steps, FEATURES), formats), name="x")
    return builder.build([layer.emit(builder, "rnn", [x])])


def data(steps=STEPS):
    return np.random.default_rng(1).integers(-500, 500, (40, steps, FEATURES)) / 64


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("overflow", [Overflow.SAT, Overflow.WRAP])
def test_the_logic_computes_every_step(overflow, sequences):
    layer = Made(SimpleRNNCell(units=UNITS), (STEPS, FEATURES), overflow, return_sequences=sequences)
    graph, x = graph_of(layer), data()
    assert np.array_equal(run(graph, x), layer.forward([x], "infer"))
    assert np.array_equal(da4ml.lower(graph).predict(x), run(graph, x))


@pytest.mark.parametrize("cell", [GRUCell(units=UNITS), LSTMCell(units=UNITS)], ids=["gru", "lstm"])
def test_units_do_not_grow_from_step_to_step(cell):
    """Products of a state with gates multiply units; over many steps no constant would be exact in them."""
    steps = 10
    layer = Made(cell, (steps, FEATURES))
    graph, x = graph_of(layer, steps), data(steps)
    assert np.array_equal(da4ml.lower(graph).predict(x), run(graph, x))


def test_hls4ml_takes_the_steps_one_by_one(tmp_path):
    layer = Made(SimpleRNNCell(units=UNITS), (STEPS, FEATURES))
    graph = graph_of(layer)
    assert sum(isinstance(node.op, Scan) for node in graph) == 1
    hls4ml.lower(graph, tmp_path / "project")
