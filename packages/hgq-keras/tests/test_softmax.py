"""Softmax of two tables: near the softmax of Keras, equal to its graph, and what cannot be is refused."""

import keras
import numpy as np
import pytest

import hgq_keras
from hgq_core.cost import ebops
from hgq_core.errors import ConfigError
from hgq_core.graph import run
from hgq_keras import QuantizerConfig
from hgq_keras.layers import QDense, QSoftmax


def fine():
    """Ten bits behind the point."""
    return QuantizerConfig("kif", "datalane", i0=8, f0=10, overflow_mode="SAT")


def table():
    return QuantizerConfig("kbi", "table", b0=22, i0=7)


X = np.random.default_rng(7).normal(size=(32, 3, 5)).astype("float32") * 2


@pytest.mark.parametrize("stable", [True, False])
@pytest.mark.parametrize("axis", [None, 1, (1, 2)])
def test_with_many_bits_it_is_softmax(axis, stable, array):
    confs = {"exp_iq_conf": fine(), "exp_oq_conf": table(), "inv_iq_conf": fine(), "inv_oq_conf": table()}
    layer = QSoftmax(axis, stable=stable, input_scaler=0.5, **confs)
    y = array(layer(X))
    e = np.exp(0.5 * X.astype("float64"))
    axes = {None: (2,), 1: (1,), (1, 2): (1, 2)}[axis]
    assert np.max(np.abs(y - e / e.sum(axis=axes, keepdims=True))) < 2e-3


@pytest.mark.parametrize("options", [{}, {"enable_iq": True}, {"axis": 1, "parallelization_factor": 2}])
def test_the_graph_has_its_numbers_and_its_cost(options, infer, tmp_path):
    keras.utils.set_random_seed(2)
    x = keras.Input((3, 5))
    model = keras.Model(x, QSoftmax(name="softmax", **options)(QDense(4, name="dense")(x)))
    hgq_keras.trace_minmax(model, X)
    graph = hgq_keras.to_graph(model)
    assert np.array_equal(run(graph, X), infer(model, X))
    assert ebops(graph) == pytest.approx(hgq_keras.ebops(model), rel=1e-9)
    assert {node.composite for node in graph if node.label.startswith("softmax")} == {"", "softmax"}
    loaded = hgq_keras.load_model(hgq_keras.save_model(model, tmp_path / "model.keras"))
    assert np.array_equal(infer(loaded, X), infer(model, X))
    assert hgq_keras.ebops(loaded) == hgq_keras.ebops(model)
    assert hgq_keras.uncalibrated(loaded) == []


def test_it_trains(array):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((5,)), QDense(3), QSoftmax()])
    x = np.random.default_rng(1).normal(size=(256, 5)).astype("float32")
    y = np.argmax(x[:, :3], axis=1)
    model.compile(keras.optimizers.Adam(2e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=15, batch_size=64, verbose=0).history
    assert history["accuracy"][-1] > 0.8
    assert np.all(np.isfinite(array(model.layers[1].exp_oq._b)))


def test_given_configurations_are_not_changed():
    given = QuantizerConfig("kbi", "table", b0=6, k0=1)
    layer = QSoftmax(exp_oq_conf=given)
    assert (given.spec.k0, str(given.spec.overflow_mode)) == (1, "SAT_SYM")
    assert (layer.exp_oq.spec.k0, str(layer.exp_oq.spec.overflow_mode), layer.exp_oq.spec.b0) == (0, "SAT", 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axis": 0}, "not the batch axis"),
        ({"axis": 3}, r"expected axes of data with 3 axes"),
        ({"axis": 1.5}, "axis: received 1.5, expected an integer"),
        ({"input_scaler": float("nan")}, "input_scaler"),
        ({"parallelization_factor": 0}, "parallelization_factor: received 0"),
        ({"axis": (1, 1)}, "expected different axes"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        QSoftmax(**arguments)(X)
