"""A recurrent layer in hardware: da4ml unrolls its loop, hls4ml refuses it and says what to do."""

import numpy as np
import pytest

from hgq_core.conformance.backend import Layer
from hgq_core.conformance.numpy_backend import NumpyQuantizer
from hgq_core.conformance.numpy_layers import NumpyLayer
from hgq_core.errors import UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, run
from hgq_core.graph.ops import Input
from hgq_core.layers import Recurrent, SimpleRNNCell, trace
from hgq_core.modes import Overflow, Round
from hgq_core.spec import KBI, KIF
from hgq_hw import da4ml, hls4ml

STEPS, FEATURES, UNITS = 4, 3, 2


class Rnn(NumpyLayer):
    """A recurrent layer on NumPy."""

    def __init__(self, overflow, **options):
        rng = np.random.default_rng(7)
        shapes = {"kernel": (FEATURES, UNITS), "recurrent_kernel": (UNITS, UNITS), "bias": (UNITS,)}
        self.weights = {f"cell/{name}": rng.normal(size=shape) for name, shape in shapes.items()}
        data = KIF(i0=1, f0=2, round_mode=Round.RND, overflow_mode=overflow, homogeneous_axis=(0,))
        hidden = KIF(i0=0, f0=4, round_mode=Round.RND, overflow_mode=Overflow.SAT, homogeneous_axis=(0,))
        weight = KBI(b0=4, i0=1, overflow_mode=Overflow.SAT, is_weight=True)
        slots = {"iq": data, "sq": hidden, "paq": hidden, "kq": weight, "rkq": weight, "bq": weight}
        specs = {f"cell/{name}": spec for name, spec in slots.items()}
        self.layer = Layer("loop", {}, specs, self.weights, {})
        self.program = trace(Recurrent(SimpleRNNCell(UNITS), **options), (STEPS, FEATURES))
        self.mode = "infer"
        self.quantizers = {
            name: NumpyQuantizer(specs[name], slot.shape if slot.constant else (None, *slot.shape))
            for name, slot in self.program.quantizers.items()
        }


def graph_of(layer):
    builder = GraphBuilder()
    formats = Formats.of(*(np.full((STEPS, FEATURES), v) for v in (1, 3, 6)))
    x = builder.add(Input((STEPS, FEATURES), formats), name="x")
    return builder.build([layer.emit(builder, "rnn", [x])])


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("overflow", [Overflow.SAT, Overflow.WRAP])
def test_the_logic_computes_every_step(overflow, sequences):
    layer = Rnn(overflow, return_sequences=sequences)
    graph, x = graph_of(layer), np.random.default_rng(1).integers(-500, 500, (40, STEPS, FEATURES)) / 64
    assert np.array_equal(run(graph, x), layer.forward([x], "infer"))
    assert np.array_equal(da4ml.lower(graph).predict(x), run(graph, x))


def test_hls4ml_has_no_recurrence_and_names_the_target_that_has(tmp_path):
    with pytest.raises(UnsupportedError, match=r"is a recurrence.*use the da4ml target"):
        hls4ml.lower(graph_of(Rnn(Overflow.SAT)), tmp_path / "project")
