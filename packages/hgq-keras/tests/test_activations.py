"""Activations at the end of a layer: those without a table are exact, others say why they are not and what to use."""

import keras
import numpy as np
import pytest

from hgq_core.errors import UnsupportedError
from hgq_core.graph import run
from hgq_core.graph.ops import Lookup
from hgq_keras import Quantizer, load_model, save_model, to_graph
from hgq_keras.config import HardSigmoidConfig
from hgq_keras.layers import QConv1D, QDense

X = np.random.default_rng(5).normal(0, 4, (60, 4)).astype(np.float32)
EXACT = {
    "linear": "linear",
    "relu6": "relu6",
    "hard tanh": "hard_tanh",
    "relu of keras.ops": keras.ops.relu,
    "Activation": lambda: keras.layers.Activation("hard_tanh"),
    "leaky": lambda: keras.layers.LeakyReLU(0.25),
    "leaky of three bits": lambda: keras.layers.LeakyReLU(0.3125),
    "steep": lambda: keras.layers.LeakyReLU(3),
    "limited": lambda: keras.layers.ReLU(1.5),
    "limited by a number that float32 rounds": lambda: keras.layers.ReLU(0.3),
    "leaky and limited": lambda: keras.layers.ReLU(1.5, 0.5),
    "from a threshold": lambda: keras.layers.ReLU(threshold=0.5),
    "from a threshold that float32 rounds": lambda: keras.layers.ReLU(threshold=0.3),
    "all at once": lambda: keras.layers.ReLU(2.0, 0.5, 0.25),
}


def given(activation):
    """Layers of Keras anew, since one belongs to one model."""
    known = isinstance(activation, str) or activation is keras.ops.relu
    return activation if known else activation()


def model_of(layer):
    """The layer on data of few bits, whose formats need no calibration."""
    first = Quantizer("kif", "datalane", i0=3, f0=2, overflow_mode="SAT", round_mode="RND")
    return keras.Sequential([keras.Input((4,)), first, layer])


@pytest.mark.parametrize("name", EXACT)
def test_an_exact_activation_is_that_of_keras_bit_for_bit_and_has_no_table(name, infer, tmp_path):
    layer = QDense(3, activation=given(EXACT[name]), name="layer")
    model = model_of(layer)
    bare = QDense.from_config({**layer.get_config(), "activation": None})
    same = model_of(bare)
    same.set_weights(model.get_weights())
    graph = to_graph(model)
    expected = keras.ops.convert_to_numpy(layer.activation(infer(same, X)))
    np.testing.assert_array_equal(infer(model, X), expected)
    np.testing.assert_array_equal(run(graph, X), expected)
    assert not any(isinstance(node.op, Lookup) for node in graph)
    save_model(model, tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(infer(loaded, X), expected)
    assert [type(node.op) for node in to_graph(loaded)] == [type(node.op) for node in graph]


def test_a_convolution_takes_a_layer_as_its_activation(infer):
    layer = QConv1D(2, 2, activation=keras.layers.LeakyReLU(0.5))
    x = np.random.default_rng(0).normal(size=(5, 6, 3)).astype(np.float32)
    model = keras.Sequential([keras.Input((6, 3)), layer])
    np.testing.assert_array_equal(run(to_graph(model), x), infer(model, x))


@pytest.mark.parametrize(
    ("activation", "said"),
    [
        ("hard_sigmoid", r"'hard_sigmoid'.*1/6.*QUnaryFunctionLUT\('hard_sigmoid'\).*HardSigmoidConfig\(\).*slope 1/4"),
        ("hard_silu", r"'hard_silu'.*product with a hard sigmoid.*1/6.*QUnaryFunctionLUT\('hard_silu'\)"),
        (
            keras.layers.LeakyReLU,
            r"LeakyReLU.*slope 0\.3 has more than 12 significant bits.*such as 0\.25 or 0\.3000",
        ),
        (lambda: keras.layers.ReLU(2.0, 0.5, 1 / 3), r"ReLU.*threshold 0\.3333333.*12 significant bits"),
        (keras.layers.ELU, r"activation ELU has no exact hardware.*QUnaryFunctionLUT\(function\)"),
    ],
)
def test_an_activation_that_needs_a_table_trains_and_is_refused_with_the_remedy(activation, said):
    model = model_of(QDense(3, activation=activation if isinstance(activation, str) else activation(), name="layer"))
    model.compile("sgd", "mse")
    model.train_on_batch(X, np.zeros((60, 3)))
    with pytest.raises(UnsupportedError, match=rf"layer 'layer'.*{said}"):
        to_graph(model)


def test_the_plain_hard_sigmoid_names_the_quantizer_that_is_one():
    with pytest.raises(UnsupportedError, match=r"hard_sigmoid.*1/6.*HardSigmoidConfig\(\)"):
        to_graph(model_of(keras.layers.Activation("hard_sigmoid")))


def test_a_quantizer_that_is_a_hard_sigmoid_is_exact(infer):
    model = model_of(QDense(3, oq_conf=HardSigmoidConfig(f0=4), enable_oq=True))
    np.testing.assert_array_equal(run(to_graph(model), X), infer(model, X))
    assert infer(model, X).min() >= 0
    assert infer(model, X).max() < 1
