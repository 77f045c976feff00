"""A layer has the defaults of the scope it is written in, wherever it is built, read back or copied."""

import keras
import numpy as np
import pytest

from hgq.config import QuantizerConfigScope
from hgq.layers import QDenseT, QEinsumDenseT, QLayer, QLayerNormalization, QRMSNormalization, QSoftmax
from hgq_core.graph.ops import Multiply

X = np.random.default_rng(0).normal(1.0, 4.0, (64, 3, 6)).astype("float32")


@keras.saving.register_keras_serializable(package="tests")
class Square(QLayer):
    """A layer of a user's own, whose constructor makes nothing of what its declaration names."""

    def declaration(self):
        def square(t, x):
            y = t.quantized("aq", x)
            return t.quantized("inner/bq", t.op(Multiply(), y, y))

        return square


LAYERS = {
    "a user's": Square,
    "layer norm": QLayerNormalization,
    "rms norm": QRMSNormalization,
    "softmax": QSoftmax,
    "tables": lambda: QDenseT(2),
    "einsum of tables": lambda: QEinsumDenseT("bti,io->bto", (3, 2)),
}


def scopes():
    """What no default is, at every place."""
    return QuantizerConfigScope(overflow_mode="SAT", round_mode="TRN", i0=1, f0=3, b0=4)


def written(name):
    with scopes():
        return LAYERS[name]()


def configurations(layer):
    return [repr(quantizer.config) for quantizer in layer.quantizers]


def outputs(model):
    return keras.ops.convert_to_numpy(model(X))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_that_is_built_elsewhere_is_the_same(name):
    here, elsewhere = written(name), written(name)
    with scopes():
        here.build(X.shape)
    with QuantizerConfigScope(overflow_mode="SAT_SYM", f0=1, i0=0):
        elsewhere.build(X.shape)
    assert configurations(here) == configurations(elsewhere)
    plain = LAYERS[name]()
    plain.build(X.shape)
    assert not set(configurations(here)) & set(configurations(plain))


@pytest.mark.parametrize("how", ["model.keras", "model.h5", "clone"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_model_that_is_read_back_or_copied_is_the_same(name, how, tmp_path):
    model = keras.Sequential([keras.Input(X.shape[1:]), written(name)])
    if how == "clone":
        other = keras.models.clone_model(model)
        other.set_weights(model.get_weights())
    else:
        model.save(tmp_path / how)
        other = keras.models.load_model(tmp_path / how)
    assert configurations(other.layers[-1]) == configurations(model.layers[-1])
    np.testing.assert_array_equal(outputs(other), outputs(model))
