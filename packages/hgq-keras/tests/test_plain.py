"""Plain Keras layers on channels-first data: the Graph is right, or says which layer it cannot take."""

import keras
import numpy as np
import pytest

from hgq_core.errors import UnsupportedError
from hgq_core.graph import run
from hgq_keras import Quantizer, to_graph

RNG = np.random.default_rng(12)
IMAGE = RNG.normal(size=(3, 2, 4, 5)).astype(np.float32)
SERIES = RNG.normal(size=(3, 2, 4)).astype(np.float32)
FIRST = "channels_first"


def quantized(x):
    return np.clip(np.floor(x * 8 + 0.5), -32, 31) / 8


def graph_of(layer, x):
    """The layer after a quantizer with the format of `quantized`, which needs no calibration."""
    inputs = keras.Input(x.shape[1:])
    quantizer = Quantizer("kif", "datalane", i0=2, f0=3, overflow_mode="SAT", round_mode="RND")
    return to_graph(keras.Model(inputs, layer(quantizer(inputs))))


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format(FIRST)
    yield
    keras.config.set_image_data_format("channels_last")


def last(x):
    return np.moveaxis(x, 1, -1)


@pytest.mark.parametrize(
    ("make", "x", "oracle"),
    [
        (lambda: keras.layers.Flatten(data_format=FIRST), IMAGE, lambda x: last(x).reshape(len(x), -1)),
        (lambda: keras.layers.Flatten(data_format=FIRST), SERIES, lambda x: last(x).reshape(len(x), -1)),
        (lambda: keras.layers.Flatten(data_format=FIRST), SERIES[:, 0], lambda x: x),
        (
            lambda: keras.layers.ZeroPadding2D(((1, 0), (2, 3)), data_format=FIRST),
            IMAGE,
            lambda x: np.pad(x, [(0, 0), (0, 0), (1, 0), (2, 3)]),
        ),
        (
            lambda: keras.layers.ZeroPadding1D((1, 2), data_format=FIRST),
            SERIES,
            lambda x: np.pad(x, [(0, 0), (0, 0), (1, 2)]),
        ),
        (lambda: keras.layers.SpatialDropout2D(0.5, data_format=FIRST), IMAGE, lambda x: x),
    ],
)
def test_channels_first(make, x, oracle):
    np.testing.assert_array_equal(run(graph_of(make(), x), x), oracle(quantized(x)))


@pytest.mark.usefixtures("channels_first")
def test_channels_first_everywhere():
    for make, wanted in (
        (keras.layers.Flatten, last(quantized(IMAGE)).reshape(3, -1)),
        (lambda: keras.layers.ZeroPadding2D(1), np.pad(quantized(IMAGE), [(0, 0), (0, 0), (1, 1), (1, 1)])),
    ):
        np.testing.assert_array_equal(run(graph_of(make(), IMAGE), IMAGE), wanted)


def test_a_flatten_that_the_layer_itself_computes():
    """The oracle above is also what Keras does."""
    flat = keras.ops.convert_to_numpy(keras.layers.Flatten(data_format=FIRST)(IMAGE))
    np.testing.assert_array_equal(flat, last(IMAGE).reshape(3, -1))


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (lambda: keras.layers.MaxPooling2D(2, data_format=FIRST, name="pool"), IMAGE),
        (lambda: keras.layers.MaxPooling1D(2, data_format=FIRST, name="pool"), SERIES),
    ],
)
def test_channels_first_pooling_names_the_layer_and_the_remedy(layer, x):
    with pytest.raises(UnsupportedError, match=r"layer 'pool'.*data_format='channels_first'.*keras\.layers\.Permute"):
        graph_of(layer(), x)
