"""Plain Keras layers: the Graph computes what they predict, in both data formats, or says what to use instead."""

import keras
import numpy as np
import pytest

from hgq_core.cost import ebops
from hgq_core.errors import UnsupportedError
from hgq_core.graph import run
from hgq_keras import Quantizer, to_graph
from hgq_keras.layers import QAveragePooling2D, QDense, QUnaryFunctionLUT

RNG = np.random.default_rng(12)
IMAGE = RNG.normal(size=(3, 2, 4, 5)).astype(np.float32)
SERIES = RNG.normal(size=(3, 2, 4)).astype(np.float32)
FIRST = "channels_first"


def quantized(x):
    return np.clip(np.floor(x * 8 + 0.5), -32, 31) / 8


def model_of(layer, x):
    """The layer after a quantizer with the format of `quantized`, which needs no calibration."""
    inputs = keras.Input(x.shape[1:])
    quantizer = Quantizer("kif", "datalane", i0=2, f0=3, overflow_mode="SAT", round_mode="RND")
    return keras.Model(inputs, layer(quantizer(inputs)))


def graph_of(layer, x):
    return to_graph(model_of(layer, x))


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


VOLUME = RNG.normal(size=(3, 4, 4, 2, 2)).astype(np.float32)
LAYERS = {
    "GlobalAveragePooling1D": (keras.layers.GlobalAveragePooling1D, IMAGE[:, 0, :, :4]),
    "GlobalAveragePooling1D, channels first": (
        lambda: keras.layers.GlobalAveragePooling1D(data_format=FIRST, keepdims=True),
        SERIES,
    ),
    "GlobalAveragePooling2D": (keras.layers.GlobalAveragePooling2D, IMAGE),
    "GlobalAveragePooling3D": (keras.layers.GlobalAveragePooling3D, VOLUME),
    "GlobalMaxPooling1D": (keras.layers.GlobalMaxPooling1D, SERIES),
    "GlobalMaxPooling2D": (lambda: keras.layers.GlobalMaxPooling2D(data_format=FIRST), IMAGE),
    "GlobalMaxPooling3D": (lambda: keras.layers.GlobalMaxPooling3D(keepdims=True), VOLUME),
    "AveragePooling1D": (lambda: keras.layers.AveragePooling1D(2), SERIES),
    "AveragePooling2D": (lambda: keras.layers.AveragePooling2D(2, strides=1), IMAGE),
    "AveragePooling3D": (lambda: keras.layers.AveragePooling3D((2, 2, 1)), VOLUME),
    "MaxPooling3D": (lambda: keras.layers.MaxPooling3D((2, 1, 2), padding="same"), VOLUME),
    "Cropping1D": (lambda: keras.layers.Cropping1D(1), IMAGE[:, 0]),
    "Cropping2D": (lambda: keras.layers.Cropping2D(((0, 1), (1, 2))), IMAGE),
    "Cropping2D, channels first": (lambda: keras.layers.Cropping2D(((0, 1), (1, 2)), data_format=FIRST), IMAGE),
    "Cropping3D": (lambda: keras.layers.Cropping3D((1, 1, 0)), VOLUME),
    "UpSampling1D": (lambda: keras.layers.UpSampling1D(3), SERIES),
    "UpSampling2D": (lambda: keras.layers.UpSampling2D((2, 3)), IMAGE),
    "UpSampling3D": (lambda: keras.layers.UpSampling3D(2), VOLUME),
    "ZeroPadding3D": (lambda: keras.layers.ZeroPadding3D((1, 0, 2)), VOLUME),
    "LeakyReLU": (lambda: keras.layers.LeakyReLU(0.375), SERIES),
    "ReLU with a slope and a limit": (lambda: keras.layers.ReLU(max_value=1.25, negative_slope=0.5), SERIES),
    "ReLU with a threshold": (lambda: keras.layers.ReLU(threshold=0.5), SERIES),
    "ReLU with all": (lambda: keras.layers.ReLU(max_value=1.25, negative_slope=0.5, threshold=0.25), SERIES),
    "Activation": (lambda: keras.layers.Activation("relu6"), 4 * SERIES),
    "Rescaling": (lambda: keras.layers.Rescaling(0.75, offset=-1.5), SERIES),
    "AlphaDropout": (lambda: keras.layers.AlphaDropout(0.5), SERIES),
    "SpatialDropout3D": (lambda: keras.layers.SpatialDropout3D(0.5), VOLUME),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_without_weights_is_exact_and_costs_nothing(name, infer):
    make, x = LAYERS[name]
    model = model_of(make(), x)
    graph = to_graph(model)
    np.testing.assert_array_equal(run(graph, x), infer(model, x))
    assert ebops(graph) == 0


@pytest.mark.parametrize("axes", [1, 2, (1, 2), (2, 1), -1])
def test_dot_contracts_an_axis_of_each_tensor(axes, infer):
    x = keras.Input((4, 4))
    a, b = (Quantizer("kif", "datalane", i0=2, f0=3, overflow_mode="SAT")(x) for _ in range(2))
    model = keras.Model(x, keras.layers.Dot(axes)([a, keras.ops.flip(b, axis=1)]))
    data = RNG.normal(size=(3, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(run(to_graph(model), data), infer(model, data))


def test_an_average_of_a_power_of_two_of_tensors(infer):
    x = keras.Input((4,))
    a, b = (Quantizer("kif", "datalane", i0=2, f0=3, overflow_mode="SAT")(x) for _ in range(2))
    model = keras.Model(x, keras.layers.Average()([a, -2 * b]))
    np.testing.assert_array_equal(run(to_graph(model), SERIES[:, 0]), infer(model, SERIES[:, 0]))
    with pytest.raises(
        UnsupportedError, match=r"average of 3 numbers.*Add\(\) and the product of its result with 0\.333"
    ):
        to_graph(keras.Model(x, keras.layers.Average()([a, b, a])))


REFUSED = {
    "a global average": (
        keras.layers.GlobalAveragePooling2D,
        IMAGE[:, :, :3],
        r"average of 6 numbers.*keras\.ops",
    ),
    "an average": (lambda: keras.layers.AveragePooling2D((1, 3)), IMAGE, r"3 numbers.*QAveragePooling2D\(\(1, 3\)\)"),
    "an average of a series": (
        lambda: keras.layers.AveragePooling1D(3),
        IMAGE[:, 0],
        r"Reshape\(\(1, 4, 5\)\) and QAveragePooling2D\(\(1, 3\)\)",
    ),
    "an average with padding": (
        lambda: keras.layers.AveragePooling2D(2, padding="same"),
        IMAGE[:, :, :3],
        r"fewer numbers.*padding='valid', or QAveragePooling2D\(\(2, 2\)\)",
    ),
    "a slope": (lambda: keras.layers.LeakyReLU(0.3), SERIES, r"slope 0\.3.*such as 0\.25.*QUnaryFunctionLUT\(f\)"),
    "a threshold": (
        lambda: keras.layers.ReLU(negative_slope=0.5, threshold=0.3),
        SERIES,
        r"threshold 0\.3.*QUnaryFunctionLUT\(f\)",
    ),
    "a smooth rectifier": (keras.layers.ELU, SERIES, r"QUnaryFunctionLUT\('elu'\)"),
    "softmax": (keras.layers.Softmax, SERIES, r"leave it out.*from_logits=True"),
    "softmax as an activation": (lambda: keras.layers.Activation("softmax"), SERIES, r"leave it out.*from_logits=True"),
    "softmax in a layer": (lambda: QDense(2, activation="softmax"), SERIES[:, 0], r"leave it out.*from_logits=True"),
    "an activation in a layer": (
        lambda: QDense(2, activation="tanh"),
        SERIES[:, 0],
        r"activation=None and add QUnaryFunctionLUT\('tanh'\) after",
    ),
    "a mask": (keras.layers.Masking, SERIES, r"leave it out, and give steps without data the number 0"),
    "interpolation": (lambda: keras.layers.UpSampling2D(2, interpolation="bilinear"), IMAGE, "has no exact hardware"),
    "a layer with weights": (lambda: keras.layers.Dense(2), SERIES, "use QDense instead of Dense"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_that_is_not_exact_is_refused_with_what_helps(name):
    make, x, said = REFUSED[name]
    with pytest.raises(UnsupportedError, match=said):
        graph_of(make(), x)


def beyond_a_threshold(x):
    return keras.activations.relu(x, threshold=0.5)


HELPFUL = {
    "a global average": (lambda: lambda x: keras.ops.sum(x, axis=(1, 2)) * 0.1666259765625, IMAGE[:, :, :3]),
    "an average": (lambda: QAveragePooling2D((1, 3)), IMAGE),
    "an average of a series": (
        lambda: lambda x: QAveragePooling2D((1, 3))(keras.layers.Reshape((1, 4, 5))(x)),
        IMAGE[:, 0],
    ),
    "an average with padding": (lambda: QAveragePooling2D((2, 2), padding="same"), IMAGE[:, :, :3]),
    "a slope": (lambda: keras.layers.LeakyReLU(0.25), SERIES),
    "a threshold": (lambda: QUnaryFunctionLUT(beyond_a_threshold), SERIES),
    "a smooth rectifier": (lambda: QUnaryFunctionLUT("elu"), SERIES),
    "an activation in a layer": (
        lambda: lambda x: QUnaryFunctionLUT("tanh")(QDense(2, activation=None)(x)),
        SERIES[:, 0],
    ),
}


@pytest.mark.parametrize("name", HELPFUL)
def test_what_a_message_about_a_layer_says_helps(name, same_as_graph):
    make, x = HELPFUL[name]
    same_as_graph(model_of(make(), x), x)


def test_a_model_that_leaves_its_softmax_to_the_loss_decides_alike(infer):
    model = model_of(QDense(3), SERIES[:, 0])
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    model.fit(SERIES[:, 0], np.eye(3, dtype=np.float32), verbose=0)
    chosen = run(to_graph(model), SERIES[:, 0]).argmax(axis=1)
    softmax = keras.ops.convert_to_numpy(keras.ops.softmax(infer(model, SERIES[:, 0])))
    np.testing.assert_array_equal(chosen, softmax.argmax(axis=1))


def test_a_mask_that_is_handed_over_is_refused():
    x = keras.Input((4, 2))
    q = Quantizer("kif", "datalane", i0=2, f0=3, overflow_mode="SAT")(x)
    mask = keras.Input((4,), dtype="bool")
    y = keras.layers.GlobalAveragePooling1D(name="mean")(q, mask=mask)
    with pytest.raises(UnsupportedError, match="'mean' averages by a mask"):
        to_graph(keras.Model([x, mask], y))
