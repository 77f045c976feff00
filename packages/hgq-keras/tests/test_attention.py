"""Attention: what conformance does not see."""

import inspect

import keras
import numpy as np
import pytest

import hgq_keras
from hgq.config import QuantizerConfig, QuantizerConfigScope
from hgq.layers import QMultiHeadAttention
from hgq_core.errors import ConfigError, ShapeError, UnsupportedError
from hgq_core.graph import run

X = np.random.default_rng(0).normal(size=(8, 5, 8)).astype("float32")
PERMUTED = np.array([3, 1, 4, 0, 2])


def wide():
    return QuantizerConfigScope(q_type=("kif", "kbi"), i0=6, f0=16)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def with_weights_of(layer, other, *inputs):
    """Both layers built, with random weights of one of them."""
    layer(*inputs), other(*inputs, return_attention_scores=True)
    rng = np.random.default_rng(1)
    for part in ("query", "key", "value", "output"):
        dense = getattr(other, f"{part}_dense")
        dense.kernel.assign(rng.normal(size=dense.kernel.shape) / 3)
        dense.bias.assign(rng.normal(size=dense.bias.shape) / 3)
        getattr(layer, f"{part}_kernel").assign(dense.kernel)
        if part != "key":  # its bias adds the same number to all products of a query
            getattr(layer, f"{part}_bias").assign(dense.bias)


def model_of(layer, shape=X.shape[1:]):
    x = keras.Input(shape)
    return keras.Model(x, layer(x, x))


@pytest.mark.parametrize("stable", [True, False])
@pytest.mark.parametrize(
    ("options", "call"),
    [
        ({}, {}),
        ({"value_dim": 3, "output_shape": 6}, {}),
        ({"attention_axes": (1,)}, {}),
        ({}, {"use_causal_mask": True}),
        ({}, {"attention_mask": np.tri(5, k=1, dtype=bool) & (np.arange(5) != 1)}),
    ],
)
def test_with_wide_formats_it_is_the_layer_of_keras(options, call, stable):
    with wide():
        layer = QMultiHeadAttention(2, 4, **options, **call, stable_softmax=stable)
    other = keras.layers.MultiHeadAttention(2, 4, flash_attention=False, **options)
    value = np.random.default_rng(2).normal(size=X.shape).astype("float32")
    with_weights_of(layer, other, X, value)
    if "attention_mask" in call:
        call = {"attention_mask": np.broadcast_to(call["attention_mask"], (8, 5, 5))}
    # Asked for its weights, Keras computes as it says; its other way fails on JAX where values have another size.
    expected, _ = other(X, value, return_attention_scores=True, **call)
    np.testing.assert_allclose(numpy(layer(X, value)), numpy(expected), atol=2e-3)


def test_attention_over_one_of_two_axes_is_that_of_keras():
    x = np.random.default_rng(2).normal(size=(4, 3, 5, 6)).astype("float32")
    for axes in ((1,), (2,), (1, 2), None):
        with wide():
            layer = QMultiHeadAttention(2, 4, attention_axes=axes)
        other = keras.layers.MultiHeadAttention(2, 4, attention_axes=axes, flash_attention=False)
        with_weights_of(layer, other, x, x)
        np.testing.assert_allclose(numpy(layer(x, x)), numpy(other(x, x)), atol=2e-3)


@pytest.mark.parametrize("options", [{}, {"enable_oq": True}, {"fuse": "qkv"}, {"attention_axes": 1}])
def test_the_output_moves_with_the_elements_of_a_set(options):
    model = model_of(QMultiHeadAttention(2, 4, **options))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(X, X[:, ::-1], epochs=4, verbose=0)
    for _ in range(2):
        y = model.predict(X, verbose=0)
        np.testing.assert_array_equal(model.predict(X[:, PERMUTED], verbose=0), y[:, PERMUTED])
        hgq_keras.calibrate(model, X * np.arange(1, 6)[:, None])


def test_a_configuration_that_is_given_has_its_own_granularity():
    layer = QMultiHeadAttention(2, 4, qkvo_iq_conf=QuantizerConfig(), softmax_iq_conf=QuantizerConfig())
    layer(X)
    assert layer.query_iq.bits.shape == (1, 5, 8)
    assert layer.softmax_iq.bits.shape == (1, 2, 5, 5)
    assert layer.query_oq.bits.shape == (1, 1, 2, 4)
    with QuantizerConfigScope(place="datalane", heterogeneous_axis=()):
        layer = QMultiHeadAttention(2, 4)
    layer(X)
    assert layer.query_iq.bits.shape == (1, 1, 1)


def test_default_widths_serve_all_positions():
    layer = QMultiHeadAttention(2, 4, enable_oq=True)
    layer(X)
    shapes = {
        name: tuple(getattr(layer, name).bits.shape) for name in ("query_iq", "key_oq", "softmax_iq", "softmax_oq")
    }
    assert shapes == {
        "query_iq": (1, 1, 8), "key_oq": (1, 1, 2, 4), "softmax_iq": (1, 2, 1, 1), "softmax_oq": (1, 2, 1, 1),
    }  # fmt: skip
    assert layer.output_iq.bits.shape == (1, 1, 2, 4)
    assert layer.oq.bits.shape == (1, 1, 8)
    assert layer.softmax_exp_iq.spec.overflow_mode == "SAT"


def test_quantizers_are_those_of_the_scope_in_which_it_is_written(tmp_path):
    with QuantizerConfigScope(place="datalane", overflow_mode="SAT", f0=3), QuantizerConfigScope(place="bias", b0=5):
        layer = QMultiHeadAttention(2, 4, seed=3, attention_mask=np.tri(5, dtype=bool), dropout=0.25)
    model = model_of(layer)
    assert layer.query_iq.spec.overflow_mode == "SAT"
    assert layer.value_bq.spec.b0 == 5
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = loaded.layers[-1]
    for one, other in zip(layer.quantizers, again.quantizers, strict=True):
        assert one.config.get_config() == other.config.get_config()
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.get_config() == layer.get_config()


def test_kernels_of_one_shape_begin_with_different_numbers():
    layer = QMultiHeadAttention(2, 4, kernel_initializer=keras.initializers.GlorotUniform())
    layer(X)
    assert np.any(numpy(layer.query_kernel) != numpy(layer.key_kernel))


def test_dropout_acts_in_training_only_and_is_not_exported():
    layer = QMultiHeadAttention(2, 4, dropout=0.5, seed=1)
    model = model_of(layer)
    np.testing.assert_array_equal(numpy(layer(X, X)), numpy(layer(X, X)))
    first, second = (numpy(layer(X, X, training=True)) for _ in range(2))
    assert np.any(first != second)
    hgq_keras.calibrate(model, X)
    np.testing.assert_array_equal(run(hgq_keras.to_graph(model), X), model.predict(X, verbose=0))


def test_converters_read_its_parts():
    layer = QMultiHeadAttention(2, 4, value_dim=3)
    layer(X)
    assert layer.query_dense.qkernel.shape == (8, 2, 4)
    assert layer.value_dense.kernel is layer.value_kernel
    assert layer.output_dense.qbias.shape == (8,)
    assert layer.key_dense.qbias is None
    assert layer.query_dense.iq is layer.query_iq
    assert layer.query_dense.oq is layer.query_oq
    assert not layer.output_dense.enable_oq
    assert layer._softmax.exp_oq is layer.softmax_exp_oq
    assert (layer._softmax.axes, layer._softmax.stable, layer._softmax.input_scaler) == ((-1,), True, 0.5)


def test_arguments_are_those_of_the_peer():
    names = (
        "num_heads key_dim value_dim dropout use_bias output_shape attention_axes kernel_initializer bias_initializer "
        "kernel_regularizer bias_regularizer activity_regularizer kernel_constraint bias_constraint seed fuse "
        "qkvo_iq_conf qkvo_kq_conf qkvo_bq_conf qkvo_oq_conf softmax_iq_conf softmax_exp_iq_conf softmax_exp_oq_conf "
        "softmax_inv_iq_conf softmax_inv_oq_conf softmax_oq_conf stable_softmax softmax_allow_heterogeneous_table "
        "parallelization_factor"
    )
    assert list(inspect.signature(QMultiHeadAttention).parameters)[: len(names.split())] == names.split()


def masked(layer):
    x = keras.Input((5, 8))
    return layer(keras.layers.Masking()(x))


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (lambda layer: layer(X, X, attention_mask=np.ones((8, 5, 5), bool)), UnsupportedError, "attention_mask="),
        (lambda layer: layer(X, X, key_mask=np.ones((8, 5), bool)), UnsupportedError, "QMultiply"),
        (masked, UnsupportedError, "mask with its data"),
        (lambda layer: layer(X, X, return_attention_scores=True), UnsupportedError, "one output"),
        (lambda layer: layer(X, X[:, :, 0]), ShapeError, "equal rank"),
        (lambda layer: layer(X, X, X[:, :3]), ShapeError, "do not fit"),
    ],
)
def test_calls_that_hardware_does_not_have_are_refused(act, error, says):
    with pytest.raises(error, match=says) as caught:
        act(QMultiHeadAttention(2, 4, name="heads"))
    assert "'heads'" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"num_heads": 0}, "num_heads"),
        ({"dropout": 1.0}, "dropout"),
        ({"fuse": "q"}, "fuse"),
        ({"attention_axes": 0}, "attention_axes"),
        ({"enable_iq": False}, "enable_iq"),
        ({"quantizer_confs": {"query": QuantizerConfig()}}, "slots"),
        ({"qkvo_iq_conf": QuantizerConfig("kbi", "weight")}, "qkvo_iq_conf"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        QMultiHeadAttention(**({"num_heads": 2, "key_dim": 4} | options))


def test_fused_projections_read_one_tensor():
    with pytest.raises(ConfigError, match="fuse='none'"):
        QMultiHeadAttention(2, 4, fuse="qkv")(X, X + 1)
    assert QMultiHeadAttention(2, 4, fuse="kv")(X, X + 1).shape == X.shape


def test_several_axes_of_output_are_those_of_one_in_another_shape():
    one, several = (QMultiHeadAttention(2, 4, output_shape=shape) for shape in (6, (2, 3)))
    one(X), several(X)
    for part in ("query", "key", "value"):
        getattr(several, f"{part}_kernel").assign(getattr(one, f"{part}_kernel"))
    several.output_kernel.assign(keras.ops.reshape(one.output_kernel, (2, 4, 2, 3)))
    np.testing.assert_array_equal(numpy(several(X)).reshape(8, 5, 6), numpy(one(X)))


def test_a_row_without_keys_is_refused():
    with pytest.raises(ConfigError, match="no element that takes part"):
        QMultiHeadAttention(2, 4, attention_mask=np.zeros((5, 5), bool))(X)
