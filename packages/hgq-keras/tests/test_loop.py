"""A declaration with a loop of a user's own: values and EBOPs of the Graph, and ranges that follow data."""

import keras
import numpy as np
import pytest

from hgq_core.cost import ebops
from hgq_core.graph import run
from hgq_core.graph.ops import Add
from hgq_core.linear import Contract
from hgq_keras import QuantizerConfig, QuantizerConfigScope, calibrate, to_graph
from hgq_keras.layers import QLayer

STEPS, FEATURES, UNITS = 5, 3, 4


def step(t, x, h):
    """A simple recurrent step with the quantizers of a user's own."""
    kernel, again = t.weight("kernel", "kq", (FEATURES, UNITS)), t.weight("recurrent_kernel", "rkq", (UNITS, UNITS))
    y = t.op(Contract("bi,io->bo"), t.quantized("xq", x), kernel)
    y = t.op(Add(), y, t.op(Contract("bi,io->bo"), t.quantized("sq", h), again), share=0.0)
    y = t.quantized("yq", t.op(Add(), y, t.weight("bias", "bq", (UNITS,), place="bias", start="zeros")))
    return y, y


@keras.saving.register_keras_serializable(package="tests")
class Running(QLayer):
    """A recurrent layer of a user's."""

    def __init__(self, unrolled=False, **kwargs):
        super().__init__(**kwargs)
        self.unrolled = unrolled

    def declaration(self):
        def loop(t, x):
            state = t.op(Contract("bti,io->bo"), x, t.constant(np.zeros((FEATURES, UNITS))), share=0.0)
            return t.scan("cell", step, x, state)

        return loop


def built(unrolled=False, **overflow):
    keras.utils.set_random_seed(3)
    with QuantizerConfigScope(place="datalane", **overflow):
        layer = Running(unrolled, name="running", iq_conf=QuantizerConfig("kif", i0=3, f0=6, overflow_mode="SAT"))
    return keras.Sequential([keras.Input((STEPS, FEATURES)), layer]), layer


def data(rows=16):
    return (np.random.default_rng(5).integers(-120, 121, (rows, STEPS, FEATURES)) / 64).astype("float32")


def test_a_loop_computes_and_costs_what_its_graph_does():
    model, layer = built(overflow_mode="SAT")
    graph, x = to_graph(model), data()
    y = model.predict(x, verbose=0)
    assert np.unique(y).size > 20
    assert np.array_equal(run(graph, x), y)
    assert layer.ebops == pytest.approx(ebops(graph), rel=1e-6)
    assert layer.ebops > 0


@pytest.mark.parametrize("overflow_mode", ["SAT", "WRAP"])
def test_a_trained_loop_is_the_trained_sequence_of_its_steps(overflow_mode):
    """Weights, widths and ranges: the loop of a backend hands on what steps written out store."""
    x, trained = data(), []
    for unrolled in (False, True):
        model, layer = built(unrolled, overflow_mode=overflow_mode)
        model.compile(keras.optimizers.SGD(0.01), "mse")
        model.fit(x, np.cumsum(x, 1).sum(-1, keepdims=True) * np.ones(UNITS), batch_size=8, epochs=2, verbose=0)
        trained.append([keras.ops.convert_to_numpy(weight) for weight in layer.weights])
    start = built(overflow_mode=overflow_mode)[1].weights
    moved = [np.any(keras.ops.convert_to_numpy(a) != b) for a, b in zip(start, trained[0], strict=True)]
    assert sum(moved) > len(moved) / 3
    for looped, written in zip(*trained, strict=True):
        assert np.allclose(looped, written, rtol=1e-4, atol=1e-5)


def test_a_range_in_a_loop_is_the_largest_of_any_step_and_decays_once_a_batch():
    model, layer = built(overflow_mode="WRAP", i_decay_speed=0.25)
    model.compile("sgd", "mse")
    x = np.full((2, STEPS, FEATURES), 0.3, "float32")
    x[:, 1, 0] = 3.0  # two integer bits, at one step of one feature
    integer = next(v for v in layer.cell_xq.variables if v.name == "i")
    integer.assign(np.full(integer.shape, 1.5))
    for batch, wanted in ((x, [2.0, 1.25, 1.25]), (np.full_like(x, 0.3), [1.75, 1.0, 1.0])):
        model.train_on_batch(batch, np.zeros((2, STEPS, UNITS)))
        assert keras.ops.convert_to_numpy(integer).flatten().tolist() == wanted


def test_calibration_sees_every_step():
    model, layer = built(overflow_mode="WRAP")
    x = np.full((2, STEPS, FEATURES), 0.25, "float32")
    x[:, 3, 1] = -5.0
    calibrate(model, x)
    held = {v.name: keras.ops.convert_to_numpy(v).flatten().tolist() for v in layer.cell_xq.variables}
    assert held["i"][1] == 3.0
    assert held["k"] == [0.0, 1.0, 0.0]


def test_a_saved_loop_is_the_same(tmp_path):
    model, _ = built(overflow_mode="SAT")
    model.save(tmp_path / "loop.keras")
    again = keras.saving.load_model(tmp_path / "loop.keras")
    assert np.array_equal(again.predict(data(), verbose=0), model.predict(data(), verbose=0))
