"""EBOPs are one number: of one row of data, for every call, wherever it is read."""

from itertools import product

import keras
import numpy as np
import pytest

import hgq_keras
from hgq.callbacks import FreeEBOPs
from hgq.config import LayerConfigScope, QuantizerConfig
from hgq.layers import QConv1D, QDense, QEinsumDense, QMaxPooling2D, QUnaryFunctionLUT
from hgq_core.cost import ebops as graph_ebops

DEFAULT = (8, 8, 8)
"""Bits of data (i + f), of a kernel and of a bias at their defaults."""


def dense_cost(n_in, n_out, rows=1):
    """One product and one bias bit after the other."""
    data, kernel, bias = DEFAULT
    products = sum(data * kernel for _ in product(range(rows), range(n_in), range(n_out)))
    return products + sum(bias for _ in product(range(rows), range(n_out)))


def total(model):
    """The sum of the losses that the model's layers added in their last call."""
    return sum(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses)


def functional(*layers, shape=(4,)):
    x = i = keras.Input(shape)
    for layer in layers:
        x = layer(x)
    return keras.Model(i, x)


@pytest.mark.parametrize("rows", [1, 8, 64])
def test_a_layer_costs_one_row_whatever_batch_it_is_built_on(rows):
    layer = QDense(3)
    layer(np.ones((rows, 4), "float32"))
    assert layer.ebops == dense_cost(4, 3)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: QEinsumDense("bti,io->bto", (2, 3), bias_axes="o"), (2, 4)),
        (lambda: QConv1D(2, 3), (6, 2)),
        (lambda: QMaxPooling2D(2), (4, 4, 2)),
        (lambda: QUnaryFunctionLUT("tanh"), (3,)),
        (lambda: QDense(2, oq_conf=QuantizerConfig("kif", "datalane"), enable_oq=True), (4,)),
    ],
    ids=["einsum", "conv", "pool", "table", "output"],
)
def test_every_layer_costs_the_same_built_by_data_of_any_batch_or_symbolically(make, shape):
    by_data, symbolic = make(), make()
    by_data(np.ones((7, *shape), "float32"))
    functional(symbolic, shape=shape)
    assert by_data.ebops == symbolic.ebops > 0


def test_a_fixed_batch_size_of_the_input_changes_neither_cost_nor_loss():
    fixed = keras.Sequential([keras.Input((4,), batch_size=32), QDense(3, beta0=1.0), QDense(2, beta0=1.0)])
    assert hgq_keras.ebops(fixed) == dense_cost(4, 3) + dense_cost(3, 2)
    fixed(np.zeros((32, 4), "float32"), training=True)
    # The ranges of data follow the batch of zeros, but fall by a hundredth of a bit only.
    assert total(fixed) == pytest.approx(dense_cost(4, 3) + dense_cost(3, 2), rel=1e-6)


def test_blocks_of_widths_do_not_fix_the_batch():
    layer = QDense(2, iq_conf=QuantizerConfig("kif", "datalane", blocks={1: 2}))
    layer(np.ones((8, 4), "float32"))
    assert layer(np.ones((3, 4), "float32")).shape == (3, 2)


def shared_twice():
    layer, i = QDense(4, beta0=1.0, name="shared"), keras.Input((4,))
    return keras.Model(i, layer(layer(i))), 2 * dense_cost(4, 4)


def nested_twice():
    inner = functional(QDense(4, beta0=1.0))
    i = keras.Input((4,))
    return keras.Model(i, keras.layers.Add()([inner(i), inner(inner(i))])), 3 * dense_cost(4, 4)


def sequential_with_a_shared_model():
    inner, _ = shared_twice()
    return keras.Sequential([keras.Input((4,)), inner, QDense(2, beta0=1.0)]), 2 * dense_cost(4, 4) + dense_cost(4, 2)


@keras.saving.register_keras_serializable("hgq_tests")
class AppliedThrice(keras.Model):
    """A model that no topology describes."""

    def __init__(self):
        super().__init__()
        self.inner = QDense(4, beta0=1.0)
        self.last = [QDense(2, beta0=1.0)]

    def call(self, x, training=None):
        for _ in range(3):
            x = self.inner(x, training=training)
        return self.last[0](x, training=training)


def subclassed():
    model = AppliedThrice()
    model(np.zeros((5, 4), "float32"))
    return model, 3 * dense_cost(4, 4) + dense_cost(4, 2)


def subclassed_inside_a_functional_model():
    i = keras.Input((4,))
    return keras.Model(i, QDense(1, beta0=1.0)(AppliedThrice()(i))), subclassed()[1] + dense_cost(2, 1)


@pytest.mark.parametrize(
    "build",
    [shared_twice, nested_twice, sequential_with_a_shared_model, subclassed, subclassed_inside_a_functional_model],
)
def test_every_call_costs_in_the_loss_as_in_the_figure(build):
    model, wanted = build()
    assert hgq_keras.ebops(model) == wanted
    assert sum(hgq_keras.ebops_by_layer(model).values()) == wanted
    model(np.zeros((2, 4), "float32"), training=True)
    assert total(model) == pytest.approx(wanted, rel=1e-5)
    assert hgq_keras.ebops(model) == wanted


@pytest.mark.filterwarnings("ignore:float32 may round")  # biases after one step of training are finer than products
@pytest.mark.parametrize("build", [shared_twice, nested_twice, sequential_with_a_shared_model])
def test_calibration_callbacks_and_graph_tell_the_same_number(build):
    model, _ = build()
    x = np.random.default_rng(3).normal(size=(32, 4)).astype("float32")
    model.compile("sgd", "mse")
    logged = model.fit(x, np.zeros((32, *model.output_shape[1:])), verbose=0, callbacks=[FreeEBOPs()]).history["ebops"]
    assert logged == [hgq_keras.ebops(model)]
    traced = hgq_keras.trace_minmax(model, x)
    assert traced == hgq_keras.ebops(model) == graph_ebops(hgq_keras.to_graph(model))


def test_layers_that_count_nothing_add_nothing():
    with LayerConfigScope(enable_ebops=False):
        model = functional(QDense(3))
    assert hgq_keras.ebops(model) == 0
    assert list(hgq_keras.ebops_by_layer(model).values()) == [0]
