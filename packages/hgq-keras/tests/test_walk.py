"""Quantized layers are found wherever a layer or a model of the user's keeps them."""

import keras
import numpy as np
import pytest

from hgq_keras import Quantizer, ebops, quantized_layers, trace_minmax
from hgq_keras._calibrate import quantizers
from hgq_keras.layers import QDense

X = np.random.default_rng(3).normal(scale=9.0, size=(6, 3)).astype(np.float32)

KEPT = {
    "attribute": lambda layers: layers[0],
    "list": list,
    "tuple": tuple,
    "dict": lambda layers: {str(n): layer for n, layer in enumerate(layers)},
    "nested": lambda layers: {"some": [(layers[0],), {"other": layers[1:]}]},
}


def in_order(kept):
    """The layers in a collection, in the order they are called."""
    if isinstance(kept, keras.Layer):
        return [kept]
    parts = kept.values() if isinstance(kept, dict) else kept
    return [layer for part in parts for layer in in_order(part)]


def holder(base, kept):
    class Holder(base):
        def __init__(self):
            super().__init__()
            self.blocks = kept([QDense(3, name="a"), QDense(3, name="b"), Quantizer("kif", "datalane", name="c")])

        def build(self, input_shape):
            for layer in in_order(self.blocks):
                layer.build(input_shape)
            super().build(input_shape)

        def call(self, x, training=None):
            for layer in in_order(self.blocks):
                x = layer(x, training=training)
            return x

    return Holder()


@pytest.mark.parametrize("base", [keras.Layer, keras.Model])
@pytest.mark.parametrize("kept", KEPT)
def test_layers_in_collections_are_counted_and_calibrated(base, kept, array):
    made = holder(base, KEPT[kept])
    x = keras.Input((3,))
    model = keras.Model(x, made(x))
    number = 1 if kept == "attribute" else 2
    assert [layer.name for layer in quantized_layers(model)] == ["a", "b"][:number]
    assert len(quantizers(model)) == 3 * number + (number == 2)
    trace_minmax(model, X)
    assert ebops(model) > 0
    assert np.ldexp(1.0, int(quantized_layers(model)[0].iq.array_kif[1].max())) > np.abs(X).max()
    np.testing.assert_array_equal(array(model(X, training=False)), trace_minmax(model, X, return_results=True))


def test_a_collection_that_holds_itself_is_entered_once():
    layer = keras.layers.Identity()
    inner = {"layer": QDense(2, name="a")}
    inner["again"] = [inner]
    vars(layer)["kept"] = inner
    assert [found.name for found in quantized_layers(layer)] == ["a"]
