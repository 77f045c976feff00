"""No layer starts dead, and one that dies is named."""

import warnings

import keras
import numpy as np
import pytest

import hgq_keras
from hgq_core.errors import DeadLayerWarning
from hgq_keras import QuantizerConfig, QuantizerConfigScope, dead_layers, ebops, trace_minmax, warn_if_dead
from hgq_keras.constraints import MinMax
from hgq_keras.layers import QBatchNormalization, QDense, QUnaryFunctionLUT

X = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
NARROW = {"place": "weight", "b0": 4, "i0": 2}


def noise(layer, array):
    kernel = array(layer.kernel)
    return np.sum((kernel - array(layer.qkernel)) ** 2) / np.sum(kernel**2)


@pytest.mark.parametrize(("q_type", "overflow_mode"), [("kif", "SAT_SYM"), ("kbi", "SAT_SYM"), ("kif", "WRAP")])
def test_widths_that_round_a_whole_kernel_to_zero_are_widened_and_named(q_type, overflow_mode, array):
    with QuantizerConfigScope(**NARROW, default_q_type=q_type, overflow_mode=overflow_mode):
        layer = QDense(256, name="wide")
    with pytest.warns(DeadLayerWarning, match=r"layer 'wide'.*more fraction bits"):
        layer.build((None, 256))
    assert array(layer.qkernel).any()
    assert 0 < noise(layer, array) <= 0.25


def test_a_constraint_without_room_is_kept(array):
    conf = QuantizerConfig("kbi", "weight", b0=4, i0=2, bc=MinMax(0, 4))
    layer = QDense(256, kq_conf=conf)
    with pytest.warns(DeadLayerWarning):
        layer.build((None, 256))
    assert array(layer.qkernel).any()
    assert layer.kq.array_bits.max() <= 4


def test_a_kernel_that_is_alive_or_truly_zero_is_left_alone(array):
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeadLayerWarning)
        alive = QDense(3)
        alive.build((None, 5))
        zero = QDense(3, kernel_initializer="zeros", kq_conf=QuantizerConfig("kbi", "weight", b0=4, i0=2))
        zero.build((None, 5))
    assert np.all(alive.kq.array_bits == 8)
    assert np.all(zero.kq.array_bits == 4)


def test_a_model_that_is_built_by_fit_starts_alive_too(array):
    """Keras builds it while it traces the first step, before the variables have values."""
    with QuantizerConfigScope(**NARROW):
        lazy = QDense(256, name="lazy")
    model = keras.Sequential([lazy, QDense(1, name="last")])
    model.compile("sgd", "mse")
    with pytest.warns(DeadLayerWarning, match="layer 'lazy'"):
        model.fit(np.ones((4, 256), np.float32), np.ones((4, 1), np.float32), epochs=1, verbose=0)
    assert array(model.layers[0].qkernel).any()


def test_a_loaded_model_has_the_widths_that_were_saved(tmp_path, array):
    with QuantizerConfigScope(**NARROW), pytest.warns(DeadLayerWarning):
        model = keras.Sequential([keras.Input((256,)), layer := QDense(256)])
    model.layers[0].kernel.assign(array(layer.kernel) * 64)
    model.save(tmp_path / "m.keras")
    widths = model.layers[0].kq.array_bits
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeadLayerWarning)
        loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.layers[0].kq.array_bits, widths)
    np.testing.assert_array_equal(array(loaded.layers[0].qkernel), array(model.layers[0].qkernel))


# --- assigned weights -------------------------------------------------------------------------------------------------


def healthy(array):
    """A compiled model that starts well, and the kernels of a float model that are too fine for its widths."""
    conf = QuantizerConfig("kbi", "weight", b0=4, i0=2)
    model = keras.Sequential([keras.Input((5,)), QDense(8, kq_conf=conf, kernel_initializer="ones", name="fine")])
    model.compile("sgd", "mse")
    return model, np.random.default_rng(1).normal(scale=0.02, size=(5, 8)).astype(np.float32)


TARGET = np.zeros((7, 8), np.float32)


@pytest.mark.parametrize("step", ["fit", "call", "trace_minmax"])
def test_assigned_weights_that_are_too_fine_for_the_widths_get_wider_ones(step, array):
    model, kernel = healthy(array)
    layer = model.get_layer("fine")
    layer.kernel.assign(kernel)
    assert not array(layer.qkernel).any()
    steps = {
        "fit": lambda: model.fit(X, TARGET, verbose=0),
        "call": lambda: model(X, training=True),
        "trace_minmax": lambda: trace_minmax(model, X),
    }
    with pytest.warns(DeadLayerWarning, match=r"layer 'fine'.*weights to zero.*more fraction bits") as said:
        steps[step]()
    assert [warning.category for warning in said].count(DeadLayerWarning) == 1
    layer.kernel.assign(kernel)
    assert 0 < noise(layer, array) <= 0.25
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeadLayerWarning)
        steps[step]()


def test_the_weights_of_a_float_model_are_judged_when_they_come_from_a_file(tmp_path, array):
    model, kernel = healthy(array)
    plain = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, name="fine")])
    plain.layers[0].kernel.assign(kernel)
    model.layers[0].set_weights([*plain.layers[0].get_weights(), *model.layers[0].get_weights()[2:]])
    with pytest.warns(DeadLayerWarning, match="layer 'fine'"):
        model.fit(X, TARGET, verbose=0)


def test_widths_that_were_trained_down_are_left_as_they_are(array):
    """Pruning makes a kernel coarse on purpose; widths that moved with it are no accident."""
    model, kernel = healthy(array)
    layer = model.get_layer("fine")
    layer.kernel.assign(kernel)
    layer.kq._b.assign(np.where(np.arange(40).reshape(5, 8) == 3, 9.0, 3.0))
    assert noise(layer, array) > 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeadLayerWarning)
        trace_minmax(model, X)
        model.fit(X, TARGET, verbose=0)


def test_a_file_with_widths_is_left_as_it_is(tmp_path, array):
    model, kernel = healthy(array)
    layer = model.get_layer("fine")
    layer.kernel.assign(kernel)
    layer.kq._b.assign(np.where(np.arange(40).reshape(5, 8) == 3, 9.0, 4.0))
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeadLayerWarning)
        loaded.fit(X, TARGET, verbose=0)
        trace_minmax(loaded, X)
    assert set(np.unique(np.rint(array(loaded.layers[0].kq._b)))) <= {3.0, 4.0, 5.0, 8.0, 9.0, 10.0}


def test_the_scale_of_a_batch_normalisation_is_judged_too(array):
    model = keras.Sequential([keras.Input((5,)), QBatchNormalization(name="norm")])
    layer = model.get_layer("norm")
    layer.moving_variance.assign(np.full(5, 1e8))
    with pytest.warns(DeadLayerWarning, match="layer 'norm'"):
        trace_minmax(model, X)
    np.testing.assert_allclose(array(layer.qscaler_and_qoffset[0]), 1e-4, rtol=0.5)


def test_a_kernel_that_wraps_keeps_its_bits_whatever_its_size(array):
    """In kbi the range, and with it the step, follows the values."""
    conf = QuantizerConfig("kbi", "weight", b0=4, i0=2, overflow_mode="WRAP")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeadLayerWarning)
        layer = QDense(8, kq_conf=conf)
        layer.build((None, 256))
    assert noise(layer, array) < 0.01


# --- collapse ---------------------------------------------------------------------------------------------------------


def two_layers():
    return keras.Sequential([keras.Input((5,)), QDense(4, name="first"), QDense(2, name="second")])


def kill(layer):
    next(v for v in layer.kq.trainable_variables if v.name == "b").assign(np.zeros(layer.kernel.shape))


@pytest.mark.parametrize(
    "look",
    [warn_if_dead, lambda model: trace_minmax(model, X), hgq_keras.to_graph],
    ids=["warn_if_dead", "trace_minmax", "to_graph"],
)
def test_a_layer_that_has_collapsed_is_named(look):
    model = two_layers()
    assert dead_layers(model) == {}
    kill(model.get_layer("second"))
    with pytest.warns(DeadLayerWarning, match=r"layer 'second' has collapsed: every quantized weight is 0.*Lower beta"):
        look(model)
    assert dead_layers(model) == {"second": "every quantized weight is 0"}


def test_it_is_named_once_until_it_recovers():
    model = two_layers()
    first = model.get_layer("first")
    kill(first)
    with pytest.warns(DeadLayerWarning):
        warn_if_dead(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeadLayerWarning)
        assert list(warn_if_dead(model)) == ["first"]
        next(v for v in first.kq.trainable_variables if v.name == "b").assign(np.full(first.kernel.shape, 8.0))
        assert warn_if_dead(model) == {}
    kill(first)
    with pytest.warns(DeadLayerWarning):
        warn_if_dead(model)


def test_an_input_that_is_always_zero_and_a_scale_of_zero_are_collapses_too():
    model = keras.Sequential([keras.Input((5,)), QBatchNormalization(name="norm"), QDense(2, name="dense")])
    assert dead_layers(model) == {}
    model.get_layer("norm").bn_gamma.assign(np.zeros(5))
    with pytest.warns(DeadLayerWarning) as said:
        trace_minmax(model, X)
    reasons = [str(warning.message) for warning in said if warning.category is DeadLayerWarning]
    assert "'norm' has collapsed: every quantized weight is 0" in reasons[0]
    assert "'dense' has collapsed: its quantized input is always 0" in reasons[1]
    assert list(dead_layers(model)) == ["norm", "dense"]


def test_a_dead_layer_inside_a_nested_model_is_found():
    inner = keras.Sequential([keras.Input((5,)), QDense(3, name="hidden")], name="inner")
    outer = keras.Sequential([keras.Input((5,)), inner, QUnaryFunctionLUT("tanh")])
    kill(inner.layers[0])
    assert list(dead_layers(outer)) == ["inner/hidden"]
    assert ebops(outer) > 0
