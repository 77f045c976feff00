"""Whether the ranges of a model are those that a calibration left."""

import h5py
import keras
import numpy as np
import pytest

from hgq_keras import Quantizer, QuantizerConfig, QuantizerConfigScope, to_graph, trace_minmax, uncalibrated
from hgq_keras._calibrate import calibrating
from hgq_keras.layers import QDense

X = np.random.default_rng(3).normal(size=(16, 3)).astype(np.float32)


def network():
    inner = keras.Sequential([keras.Input((3,)), QDense(3, name="hidden")], name="inner")
    x = keras.Input((3,))
    y = keras.layers.ReLU()(Quantizer("kif", "datalane", name="alone")(x))
    return keras.Model(x, QDense(2, name="last")(inner(y)))


EVERY = ["alone", "inner/hidden", "last"]


def test_a_new_model_is_not_calibrated_and_its_graph_says_so():
    model = network()
    assert uncalibrated(model) == EVERY
    assert list(to_graph(model).uncalibrated) == EVERY
    trace_minmax(model, X)
    assert uncalibrated(model) == []
    assert to_graph(model).uncalibrated == ()


def test_a_step_of_training_that_moves_a_width_is_no_calibration():
    model = network()
    trace_minmax(model, X)
    f = model.get_layer("last").iq._f
    f.assign(f - 0.25)
    assert uncalibrated(model) == []  # reads as the same whole number of bits
    f.assign(f - 1.0)
    assert uncalibrated(model) == ["last"]
    model.get_layer("alone")(X * 64, training=True)
    assert uncalibrated(model) == ["alone", "last"]


def test_weights_that_are_set_or_trained_are_no_calibration():
    model = network()
    trace_minmax(model, X)
    kept = model.get_weights()
    last = model.get_layer("last")
    last.bias.assign(last.bias + 5.0)
    assert uncalibrated(model) == ["last"]
    model.set_weights(kept)
    last._beta.assign(1e-3)
    assert uncalibrated(model) == []
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(X, X[:, :2] + 1, epochs=1, verbose=0)
    assert set(uncalibrated(model)) >= {"inner/hidden", "last"}


@keras.saving.register_keras_serializable("tests")
class Optional(keras.Model):
    """A second input, and a second head in training."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = QDense(3, name="first"), QDense(3, name="second"), QDense(3, name="head")

    def call(self, inputs, training=None):
        y = self.first(inputs["x"])
        if "aux" in inputs:
            y = y + self.second(inputs["aux"])
        return self.head(y) if training else y


@pytest.mark.filterwarnings("ignore:`build..` was called on layer 'optional':UserWarning")
def test_ranges_that_no_data_come_by_stay_and_are_not_marked(array):
    model = Optional()
    both = {"x": X, "aux": X[::-1]}
    model({"x": X})
    assert trace_minmax(model, {"x": X}) > 0  # neither other layer was ever called
    model(both)
    assert uncalibrated(model) == ["second", "head"]
    trace_minmax(model, both)
    assert uncalibrated(model) == ["head"]
    expected = array(model(both))
    trace_minmax(model, {"x": X})
    assert uncalibrated(model) == ["head"]
    np.testing.assert_array_equal(array(model(both)), expected)


def test_calibration_mode_by_itself_is_not_the_end_of_a_calibration():
    model = network()
    with calibrating(model):
        model(X, training=False)
    assert uncalibrated(model) == EVERY


def test_ranges_that_follow_no_data_need_no_calibration():
    with (
        QuantizerConfigScope(place=("datalane", "bias"), overflow_mode="SAT"),
        QuantizerConfigScope(place="weight", overflow_mode="WRAP"),
    ):
        layer = QDense(2, name="dense")
    x = keras.Input((3,))
    model = keras.Model(x, Quantizer("dummy", "datalane")(Quantizer(QuantizerConfig("float"))(layer(x))))
    assert uncalibrated(model) == []


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5"])
def test_files_keep_it(name, tmp_path):
    model = network()
    trace_minmax(model, X)
    for expected in ([], ["last"]):
        if name == "m.keras":
            model.save(tmp_path / name)
            loaded = keras.saving.load_model(tmp_path / name)
        else:
            model.save_weights(tmp_path / name)
            loaded = network()
            trace_minmax(loaded, X * 8)
            loaded.load_weights(tmp_path / name)
        assert uncalibrated(loaded) == expected
        model.get_layer("last").iq._i.assign(model.get_layer("last").iq._i + 1.0)


def test_files_of_earlier_versions_load_and_are_not_calibrated(tmp_path):
    model, path = network(), tmp_path / "m.weights.h5"
    trace_minmax(model, X)
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        found = []
        file.visit(lambda name: found.append(name) if name.endswith("/calibrated") else None)
        for name in found:
            del file[name]
    assert found
    trace_minmax(model, X)
    model.load_weights(path)
    assert uncalibrated(model) == EVERY
