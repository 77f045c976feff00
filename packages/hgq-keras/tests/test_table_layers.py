"""Dense layers and convolutions of trained tables: what conformance does not see."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph import run
from hgq_core.graph.ops import Lookup
from hgq_keras import to_graph
from hgq_keras.layers import QConvT1D, QConvT2D, QDenseT, QEinsumDenseT


def test_the_peers_arguments_in_its_order_and_those_of_every_layer_by_name() -> None:
    edge = "n_hl d_hl activation subnn_activation"
    norm = "batch_norm bn_center bn_scale bn_momentum bn_epsilon table_idxs"
    dense = f"n_out {edge} toq_conf parallelization_factor use_bias {norm}"
    einsum = f"equation output_shape {edge} bias_axes normalize_axes toq_conf parallelization_factor {norm}"
    by_name = "iq_conf oq_conf bq_conf enable_iq enable_oq enable_ebops beta0 ebops_factor"
    for layer, in_order in ((QDenseT, dense), (QEinsumDenseT, einsum)):
        parameters = inspect.signature(layer).parameters
        assert list(parameters) == f"{in_order} {by_name} kwargs".split()
        assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in by_name.split())


@pytest.mark.parametrize("batch_norm", [False, True])
def test_results_do_not_depend_on_the_batch_and_are_those_of_the_graph(batch_norm: bool) -> None:
    model = keras.Sequential([keras.Input((5,)), QDenseT(3, batch_norm=batch_norm)])
    x = np.random.default_rng(0).normal(size=(67, 5)).astype("float32")
    model(x, training=True)
    whole = np.asarray(keras.ops.convert_to_numpy(model(x)))
    parts = [np.asarray(keras.ops.convert_to_numpy(model(x[a:b]))) for a, b in ((0, 1), (1, 8), (8, 67))]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    graph = to_graph(model)
    np.testing.assert_array_equal(np.asarray(run(graph, x)), whole)
    assert any(isinstance(node.op, Lookup) for node in graph)


def test_each_edge_has_widths_of_its_own() -> None:
    layer = QDenseT(3)
    layer.build((None, 5))
    assert keras.ops.shape(layer.toq.bits) == keras.ops.shape(layer.iq.bits) == (1, 3, 5)


def test_a_layer_of_many_inputs_learns_as_one_of_few() -> None:
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (1024, 64)).astype("float32")
    y = (np.sin(3 * x) @ rng.normal(size=(64, 1)) / 5.6).astype("float32")
    model = keras.Sequential([keras.Input((64,)), QDenseT(1)])
    model.compile(keras.optimizers.Adam(5e-3), "mse")
    losses = model.fit(x, y, epochs=12, batch_size=128, verbose=0).history["loss"]
    assert losses[0] < 4 * np.var(y)
    assert losses[-1] < 0.5 * np.var(y)


def test_what_it_refuses() -> None:
    with pytest.raises(ConfigError, match="enable_iq"):
        QDenseT(3, enable_iq=False)
    with pytest.raises(ConfigError, match="normalize_axes"):
        QEinsumDenseT("bi,io->bo", (3,), normalize_axes="o")
    with pytest.raises(ConfigError, match="table_idxs"):
        QDenseT(3, table_idxs=(6,))
    with pytest.raises(ConfigError, match="not a function of one number"):
        QDenseT(3, subnn_activation="softmax")
    with pytest.raises(ConfigError, match="summed over"):
        QEinsumDenseT("bi,i->bi", (3,)).build((None, 3))


def test_the_configuration_gives_the_layer_back() -> None:
    layer = QDenseT(3, n_hl=2, d_hl=4, batch_norm=True, table_idxs=(5, 4), name="t")
    assert QDenseT.from_config(layer.get_config()).get_config() == layer.get_config()


def test_convolutions_take_the_peers_arguments_in_its_order() -> None:
    window = "strides padding data_format dilation_rate groups"
    behind = "activation subnn_activation use_bias activity_regularizer toq_conf parallelization_factor"
    in_order = f"filters kernel_size n_hl d_hl {window} {behind}".split()
    for layer in (QConvT1D, QConvT2D):
        parameters = inspect.signature(layer).parameters
        assert list(parameters)[: len(in_order)] == in_order
        others = list(parameters.values())[len(in_order) : -1]
        assert all(given.kind is inspect.Parameter.KEYWORD_ONLY for given in others)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_both_layouts_of_a_convolution_are_one(padding: str) -> None:
    x = np.random.default_rng(0).normal(size=(8, 4, 5, 2)).astype("float32")
    options = {"strides": 2, "padding": padding, "subnn_activation": "tanh"}
    last, first = (QConvT2D(3, (2, 3), data_format=f"channels_{at}", **options) for at in ("last", "first"))
    last(x), first(x.transpose(0, 3, 1, 2))
    first.set_weights(last.get_weights())
    theirs = keras.ops.transpose(first(x.transpose(0, 3, 1, 2)), (0, 2, 3, 1))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(last(x)), keras.ops.convert_to_numpy(theirs))


def test_what_a_convolution_refuses() -> None:
    with pytest.raises(ConfigError, match="enable_iq"):
        QConvT1D(3, 2, enable_iq=False)
    with pytest.raises(ConfigError, match="padding 'full' is unknown"):
        QConvT2D(3, 2, padding="full")
    with pytest.raises(ConfigError, match="cannot be divided into 2 groups"):
        QConvT1D(3, 2, groups=2)
    with pytest.raises(ShapeError, match="larger than the data"):
        QConvT1D(3, 4).build((None, 3, 2))


def test_the_configuration_gives_a_convolution_back() -> None:
    layer = QConvT2D(4, (2, 1), n_hl=2, d_hl=3, groups=2, dilation_rate=2, use_bias=False, batch_norm=True, name="t")
    assert QConvT2D.from_config(layer.get_config()).get_config() == layer.get_config()
