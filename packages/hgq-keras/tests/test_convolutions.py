"""Depthwise, separable and transposed convolutions beside Keras' own layers in wide formats, and what they refuse."""

import inspect

import keras
import numpy as np
import pytest

from hgq_core.errors import ConfigError, ShapeError
from hgq_keras import QuantizerConfig, layers

WIDE = QuantizerConfig("kif", "datalane", i0=8, f0=14, overflow_mode="SAT", fc=None, ic=None)
WEIGHT = QuantizerConfig("kif", "weight", i0=4, f0=20, overflow_mode="SAT", fc=None, ic=None)
SIZES = {1: (7,), 2: (6, 5), 3: (3, 4, 3)}
DEPTHWISE = {
    "plain": {},
    "strided": {"strides": 2, "padding": "same", "depth_multiplier": 2},
    "dilated": {"dilation_rate": 2, "depth_multiplier": 3, "use_bias": False},
    "relu": {"padding": "same", "activation": "relu"},
}
TRANSPOSED = {
    "plain": {},
    "valid": {"strides": 2},
    "same": {"strides": 2, "padding": "same", "activation": "relu"},
    "same-dilated": {"dilation_rate": 2, "padding": "same", "use_bias": False},
    "gaps": {"strides": 4},
    "gaps-same": {"strides": 5, "padding": "same"},
    "more": {"strides": 3, "output_padding": 2},
    "same-more": {"strides": 2, "padding": "same", "output_padding": 1},
}
CASES = [
    *((f"DepthwiseConv{rank}D", rank, name) for rank in (1, 2) for name in DEPTHWISE),
    *((f"SeparableConv{rank}D", rank, name) for rank in (1, 2) for name in DEPTHWISE),
    *((f"Conv{rank}DTranspose", rank, name) for rank in (1, 2, 3) for name in TRANSPOSED),
]
NAMES = sorted({name for name, _, _ in CASES})


def array(x):
    return np.asarray(keras.ops.convert_to_numpy(x))


def last(x, first):
    return np.moveaxis(x, 1, -1) if first else x


@pytest.mark.parametrize("first", [False, True], ids=["channels_last", "channels_first"])
@pytest.mark.parametrize(("name", "rank", "options"), CASES, ids=[f"{name}-{case}" for name, _, case in CASES])
def test_a_layer_is_that_of_keras(name, rank, options, first):
    given = {"kernel_size": 3, **(TRANSPOSED if "Transpose" in name else DEPTHWISE)[options]}
    if not name.startswith("Depthwise"):
        given["filters"] = 3
    x = np.random.default_rng(rank).integers(-32, 33, (2, *SIZES[rank], 2)).astype("float32") / 8
    x = np.moveaxis(x, -1, 1) if first else x
    # Of Keras' own layer channels last, which every framework has on a processor.
    theirs = getattr(keras.layers, name)(data_format="channels_last", bias_initializer="ones", **given)
    wanted = array(theirs(last(x, first)))
    kernels = ("dkq_conf", "pkq_conf") if name.startswith("Separable") else ("kq_conf",)
    quantizers = dict.fromkeys((*kernels, "bq_conf"), WEIGHT) | {"iq_conf": WIDE}
    if name.startswith("Separable"):
        quantizers["piq_conf"] = WIDE
    form = "channels_first" if first else "channels_last"
    ours = getattr(layers, f"Q{name}")(data_format=form, **given, **quantizers)
    shape = ours.compute_output_shape(x.shape)
    ours.build(x.shape)
    for weight in theirs.weights:
        getattr(ours, weight.name).assign(weight)
    y = array(ours(x, training=False))
    assert y.shape == tuple(shape)
    np.testing.assert_allclose(last(y, first), wanted, atol=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_arguments_are_those_of_keras(name):
    """In their order, those for quantizers behind them."""
    ours, theirs = (
        [p for p in inspect.signature(made.__init__).parameters if p not in ("self", "kwargs")]
        for made in (getattr(layers, f"Q{name}"), getattr(keras.layers, name))
    )
    assert ours[: len(theirs)] == theirs
    assert {"iq_conf", "oq_conf", "bq_conf", "enable_ebops", "parallelization_factor"} <= set(ours)


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_is_in_the_configuration(name):
    wanted = {"trainable": False, "name": "one", "strides": 2, "padding": "same", "data_format": "channels_first"}
    wanted |= {"use_bias": True, "parallelization_factor": 2, "ebops_factor": 0.5, "beta0": 0.25}
    given = {} if name.startswith("Depthwise") else {"filters": 3}
    parts = {"D": ["depthwise"], "S": ["depthwise", "pointwise"], "C": ["kernel"]}[name[0]]
    for part in (*parts, "bias"):
        given |= {f"{part}_initializer": "ones", f"{part}_regularizer": "l2", f"{part}_constraint": "non_neg"}
    if "Transpose" in name:
        wanted["output_padding"] = 1
    else:
        wanted["depth_multiplier"] = 2
    layer = getattr(layers, f"Q{name}")(kernel_size=3, activation="relu", **given, **wanted)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    for part in (*parts, "bias"):
        assert isinstance(getattr(again, f"{part}_initializer"), keras.initializers.Ones)
        assert isinstance(getattr(again, f"{part}_regularizer"), keras.regularizers.L2)
        assert isinstance(getattr(again, f"{part}_constraint"), keras.constraints.NonNeg)
    config = again.get_config()
    for key, value in wanted.items():
        assert config[key] in (value, (value,) * again.rank), key


def test_a_separable_layer_counts_both_of_its_parts():
    x = keras.ops.ones((1, 5, 5, 2))
    whole = layers.QSeparableConv2D(3, 3, depth_multiplier=2, data_format="channels_last")
    whole(x)
    first = layers.QDepthwiseConv2D(3, depth_multiplier=2, use_bias=False, data_format="channels_last")
    second = layers.QConv2D(3, 1, data_format="channels_last")
    second(first(x))
    for quantizer, same in (
        (whole.dkq, first.kq),
        (whole.piq, second.iq),
        (whole.pkq, second.kq),
        (whole.bq, second.bq),
    ):
        for ours, theirs in zip(same.variables, quantizer.variables, strict=True):
            ours.assign(theirs)
    first.kernel.assign(whole.depthwise_kernel)
    second.kernel.assign(whole.pointwise_kernel)
    assert whole.ebops == first.ebops + second.ebops > 0
    np.testing.assert_array_equal(array(whole.qpointwise_kernel), array(second.qkernel))
    np.testing.assert_array_equal(array(whole.qdepthwise_kernel), array(first.qkernel))
    np.testing.assert_array_equal(array(whole(x, training=False)), array(second(first(x, training=False))))


def test_zeros_between_positions_cost_nothing():
    """Each of 4 positions meets each of 3 taps of 2 x 5 weights once, however far apart the positions come to lie."""
    for strides in (1, 3, 7):
        layer = layers.QConv1DTranspose(5, 3, strides, use_bias=False, data_format="channels_last")
        layer(keras.ops.ones((1, 4, 2)))
        bits = layer.iq.array_bits.sum(axis=(0, 1)), layer.kq.array_bits.sum(axis=(0, 2))
        assert layer.ebops == np.dot(*bits)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.QDepthwiseConv2D((3, 3, 3), name="d"), r"layer 'd': kernel_size: received \(3, 3, 3\)"),
        (
            lambda: layers.QDepthwiseConv1D(3, 2, dilation_rate=2, name="d"),
            r"layer \'d\': received strides .* only one",
        ),
        (
            lambda: layers.QSeparableConv2D(3, 3, 2, dilation_rate=2, name="d"),
            r"layer \'d\': received strides .* only one",
        ),
        (
            lambda: layers.QConv2DTranspose(3, 3, 2, dilation_rate=2, name="d"),
            r"layer \'d\': received strides .* only one",
        ),
        (lambda: layers.QConv2D(3, 3, 2, dilation_rate=2, name="d"), r"layer \'d\': received strides .* only one"),
        (lambda: layers.QDepthwiseConv2D(3, padding="causal", name="d"), "layer 'd': padding 'causal' is unknown"),
        (lambda: layers.QConv1DTranspose(3, 3, padding="causal", name="d"), "layer 'd': padding 'causal' is unknown"),
        (lambda: layers.QDepthwiseConv2D(3, depth_multiplier=0, name="d"), "layer 'd': depth_multiplier: received 0"),
        (lambda: layers.QSeparableConv1D(3, 3, depth_multiplier=-1, name="d"), "layer 'd': depth_multiplier"),
        (lambda: layers.QSeparableConv1D(0, 3, name="d"), "layer 'd': filters: received 0"),
        (lambda: layers.QConv3DTranspose(0, 3, name="d"), "layer 'd': filters: received 0"),
        (
            lambda: layers.QConv2DTranspose(3, 3, 2, output_padding=2, name="d"),
            r"layer 'd': output_padding: .* \(2, 2\)",
        ),
        (
            lambda: layers.QConv2DTranspose(3, 3, 2, output_padding=(1,), name="d"),
            r"layer \'d\': output_padding: .* 2 num",
        ),
        (
            lambda: layers.QConv1DTranspose(3, 3, 2, output_padding=-1, name="d"),
            "layer 'd': output_padding: received -1",
        ),
        (lambda: layers.QConv1DTranspose(3, 3, data_format="first", name="d"), "layer 'd': data_format"),
        (
            lambda: layers.QSeparableConv1D(3, 3, piq_conf=WEIGHT, name="d"),
            "layer 'd': piq_conf is a conf",
        ),
    ],
)
def test_arguments_that_say_nothing_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("name", NAMES)
def test_data_that_do_not_fit_are_refused(name):
    given = {"data_format": "channels_last", "name": "d"} | ({} if name.startswith("Depthwise") else {"filters": 2})
    rank = int(name[name.index("D", 1) - 1])
    make = getattr(layers, f"Q{name}")
    with pytest.raises(ShapeError, match=r"layer 'd': received shape \(batch, 4, .*expected \(batch, "):
        make(kernel_size=3, **given)(np.ones((1, *[4] * (rank + 2)), "float32"))
    with pytest.raises(ShapeError, match=r"layer 'd': received shape .* expected fixed sizes"):
        make(kernel_size=3, **given)(keras.Input((*[None] * rank, 2)))
    if "Transpose" not in name:
        with pytest.raises(ShapeError, match=r"layer \'d\': a kernel of .* is larger than the data"):
            make(kernel_size=9, **given)(np.ones((1, *[4] * rank, 2), "float32"))
    elif rank < 3:
        with pytest.raises(ConfigError, match="layer 'd': parallelization_factor: received 99"):
            make(kernel_size=3, parallelization_factor=99, **given)(np.ones((1, *[4] * rank, 2), "float32"))
