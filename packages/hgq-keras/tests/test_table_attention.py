"""Attention of tables: what conformance does not see."""

import inspect

import keras
import numpy as np
import pytest

import hgq_keras
from hgq.config import QuantizerConfig
from hgq.layers import QLinformerAttentionT, QMultiHeadAttentionT
from hgq_core.errors import ConfigError
from hgq_core.graph import run
from hgq_core.graph.ops import Contract

X = np.random.default_rng(0).normal(size=(32, 5, 3)).astype("float32")


def model_of(layer):
    x = keras.Input(X.shape[1:])
    return keras.Model(x, layer(x, x))


def outputs(model, x=X):
    return keras.ops.convert_to_numpy(model(x))


def test_arguments_are_those_of_the_peer():
    network, norm = "n_hl d_hl subnn_activation table_spec", "batch_norm bn_center bn_scale bn_momentum bn_epsilon"
    tables = f"{network} {norm}".split()
    for layer, last in ((QMultiHeadAttentionT, "parallelization_factor"), (QLinformerAttentionT, "lin_kv_proj_mode")):
        names = list(inspect.signature(layer).parameters)
        start = names.index(last) + 1
        assert names[start : start + len(tables)] == tables
        assert names[names.index("qkvo_iq_conf") :][:3] == ["qkvo_iq_conf", "qkvo_toq_conf", "qkvo_oq_conf"]
    assert inspect.signature(QLinformerAttentionT).parameters["lin_kv_proj_mode"].default == "dense_t"


def test_a_set_has_no_order():
    model = model_of(QMultiHeadAttentionT(2, 2))
    hgq_keras.calibrate(model, X)
    order = [3, 0, 4, 1, 2]
    np.testing.assert_array_equal(outputs(model)[:, order], outputs(model, X[:, order]))


def test_each_edge_has_a_width_of_its_own_that_serves_all_positions():
    layer = QMultiHeadAttentionT(2, 4)
    layer(X)
    assert tuple(layer.query_iq.bits.shape) == tuple(layer.query_toq.bits.shape) == (1, 1, 2, 4, 3)
    assert tuple(layer.output_iq.bits.shape) == (1, 1, 3, 2, 4)


@pytest.mark.parametrize("mode", ["dense_t", "dense"])
@pytest.mark.parametrize("shared", [False, True])
def test_the_graph_has_tables_in_place_of_contractions_with_kernels(mode, shared):
    model = model_of(QLinformerAttentionT(2, 3, 2, share_kv_proj=shared, lin_kv_proj_mode=mode, batch_norm=True))
    hgq_keras.calibrate(model, X)
    graph = hgq_keras.to_graph(model)
    np.testing.assert_array_equal(np.asarray(run(graph, X)), outputs(model))
    assert sum(isinstance(node.op, Contract) for node in graph) == 2 + 2 * (mode == "dense")


def test_it_learns():
    keras.utils.set_random_seed(0)
    y = np.tanh(X.mean(axis=1, keepdims=True) - X).astype("float32")
    model = model_of(QMultiHeadAttentionT(2, 4, batch_norm=True))
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    losses = model.fit(X, y, epochs=60, batch_size=32, verbose=0).history["loss"]
    assert losses[-1] < 0.4 * losses[0]


@pytest.mark.parametrize(
    "layer",
    [
        lambda: QMultiHeadAttentionT(
            2, 2, n_hl=2, d_hl=3, table_spec=(5, 4), qkvo_toq_conf=QuantizerConfig("kif", "table")
        ),
        lambda: QLinformerAttentionT(2, (3,), 2, share_kv_proj=True, fuse="kv", batch_norm=True),
    ],
)
def test_it_comes_back_from_a_file(layer, tmp_path):
    model = model_of(layer())
    hgq_keras.calibrate(model, X)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].get_config() == model.layers[-1].get_config()
    np.testing.assert_array_equal(outputs(loaded), outputs(model))


def test_converters_read_its_parts():
    layer = QLinformerAttentionT(2, 3, 2)
    layer(X)
    assert layer.query_dense.toq is layer.query_toq
    assert layer.query_dense.bias is layer.query_bias
    assert layer._lin_k_proj.toq is layer.key_proj_toq
    plain = QLinformerAttentionT(2, 3, 2, lin_kv_proj_mode="dense", share_kv_proj=True)
    plain(X)
    assert plain._lin_v_proj.kernel is plain.kv_proj_kernel


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: QMultiHeadAttentionT(2, 2, kernel_initializer="zeros", name="few"), "kernel_initializer"),
        (lambda: QLinformerAttentionT(2, 3, 2, kernel_regularizer="l2", name="few"), "kernel_regularizer"),
        (lambda: QMultiHeadAttentionT(2, 2, table_spec=(6,), name="few"), "table_spec"),
        (lambda: QMultiHeadAttentionT(2, 2, n_hl=-1, name="few"), "n_hl"),
        (lambda: QMultiHeadAttentionT(2, 2, subnn_activation="softmax", name="few"), "not a function of one number"),
        (lambda: QLinformerAttentionT(2, 3, 2, lin_kv_proj_mode="dens", name="few"), "lin_kv_proj_mode"),
        (lambda: QMultiHeadAttentionT(2, 2, enable_iq=False, name="few"), "enable_iq"),
    ],
)
def test_what_it_does_not_have_is_refused(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


def test_a_kernel_initializer_is_that_of_maps_that_have_a_kernel():
    layer = QLinformerAttentionT(2, 3, 2, lin_kv_proj_mode="dense", kernel_initializer="ones")
    layer(X)
    assert np.all(keras.ops.convert_to_numpy(layer.key_proj_kernel) == 1)
