"""The range of a weight under WRAP is that of its values: in its cost, its numbers and its graph."""

import keras
import numpy as np
import pytest

from hgq_core.cost import ebops as graph_ebops
from hgq_core.graph import run
from hgq_core.spec import Bounds
from hgq_keras import QuantizerConfig, ebops, to_graph, trace_minmax
from hgq_keras.layers import QBatchNormalization, QDense

X = np.random.default_rng(5).normal(size=(9, 2)).astype(np.float32)
WRAPS = {"overflow_mode": "WRAP", "i0": 5}
WHOLE = {(0.75): 3, (-0.5): 2, (0.0): 0, (3.0): 5}
"""Bits without the sign of numbers in steps of an eighth: 0.75 is below 2**0 and needs 0 + 3, -0.5 is -2**-1."""


def network(layer):
    return keras.Sequential([keras.Input((2,)), layer])


@pytest.mark.parametrize("values", [(0.75, -0.5), (0.0, 3.0)])
def test_a_kif_kernel_costs_the_bits_that_its_values_need(values):
    kernel = QuantizerConfig("kif", "weight", f0=3, **WRAPS)
    data = QuantizerConfig("kif", "datalane", i0=3, f0=4, overflow_mode="SAT_SYM")
    model = network(QDense(1, use_bias=False, kq_conf=kernel, iq_conf=data, name="dense"))
    model.get_layer("dense").kernel.assign(np.array(values, np.float32)[:, None])
    assert ebops(model) == (3 + 4) * sum(WHOLE[value] for value in values)
    assert graph_ebops(to_graph(model)) == ebops(model)
    assert trace_minmax(model, X) == ebops(model)


@pytest.mark.parametrize("q_type", ["kif", "kbi"])
@pytest.mark.parametrize("scale", [1.0, 2.0**6, 2.0**-3])
def test_weights_never_wrap_whatever_range_is_stored(q_type, scale, array, infer):
    """Also after they were assigned behind the back of the last calibration."""
    conf = QuantizerConfig(q_type, "weight", overflow_mode="WRAP", i0=0)
    model = network(QDense(3, kq_conf=conf, name="dense"))
    layer = model.get_layer("dense")
    trace_minmax(model, X)
    layer.kernel.assign(array(layer.kernel) * scale)
    step = 2.0 ** -layer.kq.formats((2, 3)).f.astype(np.float64)
    assert np.all(np.abs(array(layer.qkernel) - array(layer.kernel)) <= step / 2)
    np.testing.assert_array_equal(run(graph := to_graph(model), X), infer(model, X))
    assert graph_ebops(graph) == ebops(model)


@pytest.mark.parametrize("q_type", ["kif", "kbi"])
@pytest.mark.parametrize("left", [{"ic": Bounds(-8, 1)}, {"k0": 0}], ids=["too few integer bits", "no sign"])
def test_a_range_that_is_left_too_small_does_not_make_weights_wrap(left, q_type, array, infer):
    """Training, inference and graph see the same numbers."""
    kernel = QuantizerConfig(q_type, "weight", overflow_mode="WRAP", **left)
    model = network(QDense(1, use_bias=False, kq_conf=kernel, enable_iq=False, name="dense"))
    model.get_layer("dense").kernel.assign([[5.0], [-1.25]])
    x = np.array([[1.0, 0.5]], np.float32)
    assert infer(model, x) == array(model(x, training=True)) == 4.375
    np.testing.assert_array_equal(array(model.get_layer("dense").qkernel), [[5.0], [-1.25]])


def test_a_step_of_training_sees_the_same_cost(array):
    kernel = QuantizerConfig("kif", "weight", f0=3, fr=None, **WRAPS)
    data = QuantizerConfig("kif", "datalane", i0=3, f0=4, overflow_mode="SAT_SYM", ir=None, fr=None)
    model = network(QDense(1, use_bias=False, kq_conf=kernel, iq_conf=data, beta0=1.0, name="dense"))
    model.get_layer("dense").kernel.assign([[0.75], [-0.5]])
    model(X, training=True)
    assert float(array(sum(model.losses))) == ebops(model) == (3 + 4) * (3 + 2)


def test_bits_of_given_values(array):
    quantizer = QDense(1, kq_conf=QuantizerConfig("kif", "weight", f0=3, **WRAPS)).kq
    quantizer.build((2, 1))
    np.testing.assert_array_equal(array(quantizer.bits_of(np.array([[0.75], [-0.5]], np.float32))), [[3], [2]])
    np.testing.assert_array_equal(array(quantizer.bits), [[8], [8]])


def test_a_scale_of_batch_normalisation_costs_what_it_is_at_inference(array, infer):
    scale = QuantizerConfig("kif", "weight", f0=3, **WRAPS)
    data = QuantizerConfig("kif", "datalane", i0=3, f0=4, overflow_mode="SAT_SYM")
    layer = QBatchNormalization(kq_conf=scale, iq_conf=data, bq_conf=QuantizerConfig("dummy", "bias"), epsilon=1e-9)
    model = network(layer)
    layer.moving_variance.assign([1.0 / 0.75**2, 1.0 / 3.0**2])
    np.testing.assert_allclose(array(layer.qscaler_and_qoffset[0]), [0.75, 3.0])
    assert ebops(model) == (3 + 4) * (WHOLE[0.75] + WHOLE[3.0])
