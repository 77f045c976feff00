"""Pooling and convolutions of every rank and layout beside Keras' own layers in wide formats."""

import keras
import numpy as np
import pytest

from hgq_core.errors import ConfigError, ShapeError
from hgq_keras import QuantizerConfig, layers

WIDE = QuantizerConfig("kif", "datalane", i0=6, f0=16, overflow_mode="SAT", fc=None, ic=None)
WEIGHT = QuantizerConfig("kif", "weight", i0=6, f0=18, overflow_mode="SAT", fc=None, ic=None)
SHAPES = {1: (6, 2), 2: (6, 4, 2), 3: (4, 4, 2, 2)}


def data(rank, first):
    x = np.random.default_rng(rank).integers(-32, 33, (3, *SHAPES[rank])).astype("float32") / 8
    return np.moveaxis(x, -1, 1) if first else x


def array(x):
    return np.asarray(keras.ops.convert_to_numpy(x))


def plain(name, x, first, **options):
    """Keras' layer on channels-last data, which every framework has on a processor."""
    layer = getattr(keras.layers, name)(data_format="channels_last", **options)
    x = np.moveaxis(x, 1, -1) if first else x
    y = array(layer(x))
    return layer, np.moveaxis(y, -1, 1) if first and y.ndim == x.ndim else y


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_pooling_is_that_of_keras(kind, rank, first):
    x = data(rank, first)
    form = "channels_first" if first else "channels_last"
    ours = getattr(layers, f"Q{kind}Pooling{rank}D")(2, data_format=form, iq_conf=WIDE)
    np.testing.assert_array_equal(
        array(ours(x, training=False)), plain(f"{kind}Pooling{rank}D", x, first, pool_size=2)[1]
    )
    for keep in (False, True):
        ours = getattr(layers, f"QGlobal{kind}Pooling{rank}D")(data_format=form, keepdims=keep, iq_conf=WIDE)
        y = plain(f"Global{kind}Pooling{rank}D", x, first, keepdims=keep)[1]
        # A mean over 24 positions is that of hardware: 1 / 24 has 12 bits.
        np.testing.assert_allclose(array(ours(x, training=False)), y, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_convolution_is_that_of_keras(rank, first):
    x = data(rank, first)
    form = "channels_first" if first else "channels_last"
    ours = getattr(layers, f"QConv{rank}D")(3, 2, data_format=form, iq_conf=WIDE, kq_conf=WEIGHT, bq_conf=WEIGHT)
    shape = ours(x, training=False).shape
    theirs, y = plain(f"Conv{rank}D", x, first, filters=3, kernel_size=2)
    assert tuple(shape) == y.shape == ours.compute_output_shape(x.shape)
    ours.set_weights([*theirs.get_weights(), *ours.get_weights()[2:]])
    np.testing.assert_allclose(array(ours(x, training=False)), y, rtol=1e-3, atol=1e-3)


def test_what_a_window_does_not_have_is_refused():
    with pytest.raises(ConfigError, match="layer 'p': data_format: received 'first'"):
        layers.QMaxPooling1D(2, data_format="first", name="p")
    with pytest.raises(ShapeError, match=r"received shape \(batch, 6, 2\), expected \(batch, \*2 sizes, channels\)"):
        layers.QGlobalMaxPooling2D()(data(1, first=False))
    with pytest.raises(ConfigError, match="pool_size"):
        layers.QAveragePooling3D((2, 2))


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_a_norm_along_any_axis_is_that_of_keras(axis):
    x = data(2, first=False)
    dummies = {name: QuantizerConfig("dummy") for name in ("iq_conf", "kq_conf", "bq_conf")}
    ours = layers.QBatchNormalization(axis, enable_ebops=False, **dummies)
    theirs = keras.layers.BatchNormalization(axis)
    for training in (True, False):
        np.testing.assert_allclose(array(ours(x, training=training)), array(theirs(x, training=training)), atol=1e-4)


@pytest.mark.parametrize(("name", "axis"), [("Layer", -1), ("Layer", (2, 3)), ("RMS", -1)])
def test_a_norm_of_each_example_is_that_of_keras(name, axis):
    x = data(2, first=False)
    inner = ("mq_conf", "cq_conf") if name == "Layer" else ()
    fine = dict.fromkeys(("iq_conf", "nq_conf", "inv_iq_conf", *inner), WIDE)
    table = QuantizerConfig("kbi", "table", b0=20, i0=4, bc=None)
    ours = getattr(layers, f"Q{name}Normalization")(axis, inv_oq_conf=table, kq_conf=WEIGHT, epsilon=0.1, **fine)
    theirs = getattr(keras.layers, f"{name}Normalization")(axis, epsilon=0.1)
    np.testing.assert_allclose(array(ours(x, training=False)), array(theirs(x)), rtol=2e-2, atol=2e-2)
