"""A quantizer whose widths are not trained acts in training and calibration as at inference."""

import keras
import numpy as np
import pytest

from hgq_core.errors import DataError
from hgq_keras import Quantizer, QuantizerConfig, to_graph, trace_minmax
from hgq_keras._calibrate import calibrating, quantizers
from hgq_keras.layers import QDense

X = np.array([[0.3, -1.7], [5.2, 40.0], [-9.0, 0.01]], np.float32)
TYPES = {
    "kif-WRAP": {"q_type": "kif", "overflow_mode": "WRAP", "i0": 1, "f0": 2},
    "kbi-WRAP": {"q_type": "kbi", "overflow_mode": "WRAP", "i0": 1, "b0": 3},
    "kif-SAT": {"q_type": "kif", "overflow_mode": "SAT", "i0": 1, "f0": 2},
    "stochastic": {"q_type": "kif", "overflow_mode": "WRAP", "i0": 1, "f0": 2, "stochastic": True},
    "noise": {"q_type": "kbi", "overflow_mode": "SAT", "i0": 1, "b0": 3, "qnoise_factor": 0.5},
    "float": {"q_type": "float", "m0": 1, "e0": 2},
}


def stored(quantizer, array):
    return [array(variable).copy() for variable in quantizer.variables]


@pytest.mark.parametrize("place", ["datalane", "weight"])
@pytest.mark.parametrize("frozen_by", ["spec", "quantizer"])
@pytest.mark.parametrize("name", TYPES)
def test_training_and_calibration_are_inference_and_store_nothing(name, frozen_by, place, array):
    parameters = dict(TYPES[name], place=place, trainable=frozen_by != "spec")
    quantizer = Quantizer(parameters.pop("q_type"), **parameters)
    quantizer.build(X.shape)
    quantizer.trainable = frozen_by == "spec"
    before = stored(quantizer, array)
    expected = array(quantizer(X, training=False))
    assert not np.array_equal(expected, X)
    np.testing.assert_array_equal(array(quantizer(X, training=True)), expected)
    with calibrating(quantizer):
        np.testing.assert_array_equal(array(quantizer(X, training=False)), expected)
    quantizer.reset_range()
    for old, new in zip(before, stored(quantizer, array), strict=True):
        np.testing.assert_array_equal(new, old)


def network(i0, **parameters):
    conf = QuantizerConfig("kif", "datalane", i0=i0, f0=4, **parameters)
    return keras.Sequential([keras.Input((2,)), QDense(3, iq_conf=conf, name="first"), QDense(1, name="second")])


@pytest.mark.parametrize("frozen_by", ["spec", "layer"])
def test_calibration_leaves_a_frozen_range_and_fixes_the_others(frozen_by, array, infer):
    model = network(i0=7, trainable=frozen_by != "spec")
    model.get_layer("first").trainable = frozen_by == "spec"
    frozen = [q for q in quantizers(model) if q.is_frozen]
    before = [stored(quantizer, array) for quantizer in frozen]
    results = trace_minmax(model, X, return_results=True)
    for quantizer, widths in zip(frozen, before, strict=True):
        for old, new in zip(widths, stored(quantizer, array), strict=True):
            np.testing.assert_array_equal(new, old)
    assert np.all(model.get_layer("first").iq.array_kif[1] == 7)
    np.testing.assert_array_equal(results, infer(model, X))


@pytest.mark.parametrize("parameters", [{"i0": 3}, {"i0": 7, "k0": 0}], ids=["small", "unsigned"])
def test_a_frozen_range_that_the_calibration_data_would_wrap_in_is_refused(parameters, array):
    model = network(**parameters, trainable=False)
    before = [stored(quantizer, array) for quantizer in quantizers(model)]
    with pytest.raises(DataError, match=r"quantizer 'first_iq'.* integer bits.*frozen \(trainable=False\).*i0"):
        trace_minmax(model, X)
    for quantizer, widths in zip(quantizers(model), before, strict=True):
        for old, new in zip(widths, stored(quantizer, array), strict=True):
            np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize(
    ("k0", "i0", "data"),
    [(1, 2, [[7.0, 7.0]]), (0, 3, [[-1.0, -1.0]])],
    ids=["a sign is no integer bit", "an integer bit is no sign"],
)
def test_a_frozen_range_of_as_many_bits_may_be_the_wrong_one(k0, i0, data):
    conf = QuantizerConfig("kif", "datalane", k0=k0, i0=i0, f0=4, trainable=False)
    model = keras.Sequential([keras.Input((2,)), QDense(1, iq_conf=conf)])
    with pytest.raises(DataError, match="integer bits with the sign"):
        trace_minmax(model, np.array(data, np.float32))


def test_a_frozen_range_needs_no_calibration_and_is_in_the_graph():
    model = network(i0=7, trainable=False)
    assert model.get_layer("first").iq.is_calibrated()
    trace_minmax(model, X)
    formats = {node.name: node.op.formats for node in to_graph(model) if node.name == "first/iq"}
    assert np.all(formats["first/iq"].i == 7)
