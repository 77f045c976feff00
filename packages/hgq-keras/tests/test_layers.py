"""Every layer against its graph, bit for bit, in shapes that the conformance suite leaves out; and what is refused."""

from fractions import Fraction

import keras
import numpy as np
import pytest

from hgq_core.cost import ebops as graph_ebops
from hgq_core.errors import ConfigError, ShapeError, UnsupportedError
from hgq_core.graph import run
from hgq_core.graph.ops import Lookup
from hgq_core.linear import Pool, average_scale
from hgq_keras import QuantizerConfig, QuantizerConfigScope, ebops, to_graph, trace_minmax
from hgq_keras.layers import (
    QAdd,
    QAveragePooling2D,
    QBatchNormalization,
    QConv1D,
    QConv2D,
    QDense,
    QEinsumDense,
    QMaxPooling2D,
    QUnaryFunctionLUT,
)


def normal(seed, *shape):
    """Data of its own for every use, whatever else has run."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


IMAGE, SERIES, ROW = normal(3, 4, 7, 6, 4), normal(4, 4, 9, 4), normal(5, 4, 6)


def model_of(layer, x):
    return keras.Sequential([keras.Input(x.shape[1:]), layer])


CONVOLUTIONS = {
    "conv2d-groups-strided": (IMAGE, lambda: QConv2D(6, 3, strides=2, groups=2, activation="relu")),
    "conv2d-same-dilated": (IMAGE, lambda: QConv2D(3, (2, 3), padding="same", dilation_rate=(2, 1))),
    "conv2d-same-strided": (IMAGE, lambda: QConv2D(3, 3, padding="same", strides=(2, 3), use_bias=False)),
    "conv2d-depthwise": (IMAGE, lambda: QConv2D(4, 2, groups=4)),
    "conv1d-causal-strided": (SERIES, lambda: QConv1D(3, 3, padding="causal", strides=2)),
    "conv1d-causal-dilated-groups": (SERIES, lambda: QConv1D(4, 2, padding="causal", dilation_rate=3, groups=2)),
    "conv1d-same": (SERIES, lambda: QConv1D(3, 4, padding="same", activation="relu")),
    "einsum-ellipsis": (SERIES, lambda: QEinsumDense("...c,cd->...d", 3, bias_axes="d")),
    "einsum-middle": (SERIES, lambda: QEinsumDense("abc,bd->acd", (4, 2))),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_linear_layers_equal_their_graph(name, same_as_graph):
    x, make = CONVOLUTIONS[name]
    model = model_of(make(), x)
    graph = same_as_graph(model, x)
    assert run(graph, x).shape[1:] == model.output_shape[1:]


@pytest.mark.parametrize(
    ("ours", "plain", "x", "arguments"),
    [
        (QDense, keras.layers.Dense, ROW, {"units": 3, "activation": "relu"}),
        (
            QEinsumDense,
            keras.layers.EinsumDense,
            SERIES,
            {"equation": "abc,cd->abd", "output_shape": (9, 3), "bias_axes": "bd"},
        ),
        (
            QConv1D,
            keras.layers.Conv1D,
            SERIES,
            {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
        ),
        (QConv2D, keras.layers.Conv2D, IMAGE, {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2}),
        (QConv2D, keras.layers.Conv2D, IMAGE, {"filters": 4, "kernel_size": 2, "groups": 2}),
        (QMaxPooling2D, keras.layers.MaxPooling2D, IMAGE, {"pool_size": 3, "strides": 2, "padding": "same"}),
        (
            QAveragePooling2D,
            keras.layers.AveragePooling2D,
            IMAGE,
            {"pool_size": (2, 4), "strides": (1, 2), "padding": "same"},
        ),
        (QBatchNormalization, keras.layers.BatchNormalization, IMAGE, {"epsilon": 0.25}),
    ],
)
def test_without_quantization_they_are_the_layers_of_keras(ours, plain, x, arguments, array):
    """Numbers of few bits, so that every sum is exact whatever its order; averages by 3 and 6 are ours to round."""
    dummy = {
        f"{name}_conf": QuantizerConfig("dummy", place)
        for name, place in (("iq", "datalane"), ("kq", "weight"), ("bq", "bias"))
    }
    if ours in (QMaxPooling2D, QAveragePooling2D):
        dummy = {"iq_conf": dummy["iq_conf"]}
    layer, reference = ours(**arguments, **dummy), plain(**arguments)
    few = (np.rint(x * 4) / 4).astype(np.float32)
    rng = np.random.default_rng(6)
    layer.build((None, *x.shape[1:]))
    reference.build((None, *x.shape[1:]))
    for ours_, theirs in zip(("kernel", "bias"), ("kernel", "bias"), strict=True):
        if getattr(reference, theirs, None) is not None:
            values = rng.integers(-8, 9, getattr(reference, theirs).shape) / 8
            getattr(layer, ours_).assign(values)
            getattr(reference, theirs).assign(values)
    if ours is QBatchNormalization:
        for variable in (layer.moving_variance, reference.moving_variance):
            variable.assign(np.full(4, 3.75))
    got, wanted = array(layer(few)), array(reference(few))
    if ours is QAveragePooling2D:
        count = np.rint(1 / average_scale(Pool("sum", (2, 4), (1, 2), ((0, 1), (1, 1))), (7, 6)))
        exact = np.broadcast_to(np.log2(count) % 1 == 0, got.shape)
        assert exact.any()
        got, wanted = got[exact], wanted[exact]
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(("pool", "padding"), [((3, 3), "valid"), ((3, 2), "same"), ((2, 2), "valid")])
def test_an_average_over_any_window_is_exact_in_hardware(pool, padding, same_as_graph):
    same_as_graph(model_of(QAveragePooling2D(pool, padding=padding), IMAGE), IMAGE)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_batch_normalisation_without_scale_or_offset(scale, center, same_as_graph, array):
    layer = QBatchNormalization(center=center, scale=scale)
    model = model_of(layer, IMAGE)
    array(model(IMAGE, training=True))
    assert not np.array_equal(array(layer.moving_mean), np.zeros(4))
    same_as_graph(model, IMAGE)
    assert {v.name for v in layer.trainable_variables} >= ({"gamma"} if scale else set()) | (
        {"bn_beta"} if center else set()
    )
    assert (layer.bn_gamma is None, layer.bn_beta is None) == (not scale, not center)


def test_batch_normalisation_follows_the_batch_in_training_only(array):
    """With numbers of few bits, whose mean and variance are exact."""
    x = (np.rint(ROW * 4) / 4).astype(np.float32)
    layer = QBatchNormalization(momentum=0.75)
    layer.build((None, 6))
    array(layer(x, training=False))
    np.testing.assert_array_equal(array(layer.moving_mean), np.zeros(6))
    array(layer(x, training=True))
    np.testing.assert_array_equal(array(layer.moving_mean), x.mean(0) * 0.25)
    np.testing.assert_array_equal(array(layer.moving_variance), 0.75 + x.var(0) * 0.25)
    layer.trainable = False
    array(layer(x + 1, training=True))
    np.testing.assert_array_equal(array(layer.moving_mean), x.mean(0) * 0.25)


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_table_with_formats_of_its_own_for_every_element(same_as_graph):
    layer = QUnaryFunctionLUT(
        "tanh",
        iq_conf=QuantizerConfig("kif", "datalane", f0=3),
        oq_conf=QuantizerConfig("kif", "table", f0=4, i0=1, homogeneous_axis=(0,)),
    )
    model = model_of(layer, ROW)
    trace_minmax(model, ROW)
    next(v for v in layer.iq.variables if v.name == "f").assign([[0, 1, 2, 3, 4, -1]])
    next(v for v in layer.oq.variables if v.name == "f").assign([[5, 4, 3, 2, 1, 0]])
    graph = same_as_graph(model, ROW, calibrate=False)
    # Counted element by element from the stored widths: 2**(bits in) entries of (bits out) bits.
    entries, pairs = Fraction(0), set()
    for element in range(6):
        (k, i, f), (_, _, g) = ([int(part[0, element]) for part in q.array_kif] for q in (layer.iq, layer.oq))
        assert (f, g) == ([0, 1, 2, 3, 4, -1][element], 5 - element)
        entries += 2 ** max(i + f, 0) * max(1 + g, 0)
        pairs.add((k, i, f, g))
    assert ebops(model) == graph_ebops(graph) == pytest.approx(float(entries / 10_000), rel=1e-12)
    (lookup,) = [node.op for node in graph.nodes if isinstance(node.op, Lookup)]
    assert len(lookup.tables) == len(pairs) > 1


@pytest.mark.parametrize("overflow_mode", ["WRAP", "SAT", "SAT_SYM"])
def test_a_table_in_every_overflow_mode_and_without_a_sign(overflow_mode, same_as_graph):
    conf = QuantizerConfig("kbi", "table", b0=5, i0=1, overflow_mode=overflow_mode)
    model = model_of(QUnaryFunctionLUT("sigmoid", oq_conf=conf, override_oq_k0_to_0=True), ROW)
    same_as_graph(model, ROW)


def test_a_function_of_ones_own(same_as_graph):
    model = model_of(QUnaryFunctionLUT(lambda x: keras.ops.square(x) - 0.5 * x), ROW)
    same_as_graph(model, ROW)


def test_tables_that_cannot_be_exported_name_the_layer():
    with pytest.raises(ConfigError, match="softmax is not a function of one number"):
        QUnaryFunctionLUT("softmax")
    for layer, said in (
        (
            QUnaryFunctionLUT("tanh", enable_oq=False, name="t"),
            "layer 't': a table needs enable_iq=True and enable_oq=True",
        ),
        (
            QUnaryFunctionLUT("tanh", iq_conf=QuantizerConfig(scaler=2.0), name="t"),
            "layer 't': a table takes no scaler",
        ),
        (
            QUnaryFunctionLUT("tanh", iq_conf=QuantizerConfig("dummy"), name="t"),
            "layer 't': its quantizers are 'dummy'",
        ),
        (
            QUnaryFunctionLUT("tanh", iq_conf=QuantizerConfig(f0=20), name="t"),
            r"table of 2\*\*\d+ entries is too large",
        ),
        (QUnaryFunctionLUT(keras.ops.log, name="t"), "layer 't': the function is not finite"),
    ):
        with pytest.raises(UnsupportedError, match=said):
            to_graph(model_of(layer, ROW))


# --- several inputs ---------------------------------------------------------------------------------------------------


def test_addition_of_three_tensors_that_broadcast(same_as_graph):
    shapes = [(5, 4), (1, 4), (5, 1)]
    inputs = [keras.Input(shape) for shape in shapes]
    confs = [QuantizerConfig("kif", f0=f) for f in (2, 3, 4)]
    model = keras.Model(inputs, QAdd(iq_confs=confs)(inputs))
    graph = same_as_graph(model, *[normal(seed, 4, *shape) for seed, shape in enumerate(shapes)])
    # At each of the 5 x 4 places of the sum, the narrowest operand is free.
    places = 0.0
    for row in range(5):
        for column in range(4):
            bits = []
            for quantizer, shape in zip(model.layers[-1].iqs, shapes, strict=True):
                _, i, f = (part[0, row % shape[0], column % shape[1]] for part in quantizer.array_kif)
                bits.append(max(i + f, 0.0))
            places += 0.65 * (sum(bits) - min(bits))
    assert graph_ebops(graph) == ebops(model) == pytest.approx(places, rel=1e-12)


def test_additions_that_do_not_fit_are_refused():
    a, b = keras.Input((3,)), keras.Input((4,))
    with pytest.raises(ShapeError, match=r"layer 'sum': shapes .* do not broadcast"):
        QAdd(name="sum")([a, b])
    with pytest.raises(ConfigError, match="expected a list of two or more"):
        QAdd()([a])
    with pytest.raises(ConfigError, match=r"has 2 input\(s\) and received 3"):
        QAdd(iq_confs=[QuantizerConfig()] * 3)([a, a])


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: QDense(0), "units: received 0"),
        (lambda: QConv2D(3, 3, padding="causal"), "padding 'causal' is unknown"),
        (lambda: QConv2D(3, (3, 3, 3)), r"kernel_size: received \(3, 3, 3\)"),
        (lambda: QConv2D(3, 3, groups=2), "3 filters cannot be divided into 2 groups"),
        (lambda: QConv1D(3, 3, data_format="first"), "expected 'channels_last' or 'channels_first'"),
        (lambda: QMaxPooling2D(0), "pool_size: received 0"),
        (lambda: QAveragePooling2D(2, padding="full"), "padding 'full' is unknown"),
        (lambda: QDense(3, parallelization_factor=2)(ROW), "parallelization_factor: received 2, expected -1 or 1 to 1"),
        (lambda: QBatchNormalization(axis=0)(IMAGE), "not the batch axis, 0"),
        (lambda: QBatchNormalization(axis=4)(IMAGE), "expected an axis of data with 4 axes"),
        (lambda: QEinsumDense("aab,bc->ac", 3)(SERIES), "one letter per axis without repeats"),
        (lambda: QEinsumDense("abc,cd->abd", (9, 3), bias_axes="x")(SERIES), r"bias_axes 'x' names \['x'\]"),
        (lambda: QDense(3, iq_conf=[QuantizerConfig(), QuantizerConfig()]), r"1 input\(s\) and received 2"),
        (lambda: QDense(3, enable_oq=False).oq, "pass enable_oq=True"),
        (lambda: QDense(3, enable_iq=False).iq, "no input quantizer"),
    ],
)
def test_options_that_cannot_be_are_refused(make, said):
    with pytest.raises(ConfigError, match=said):
        make()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (QConv2D(3, 3, name="l"), (None, 5, 4)),
        (QConv2D(3, 3, name="l"), (None, None, 5, 4)),
        (QConv1D(2, 3, groups=2, name="l"), (None, 5, 3)),
        (QDense(3, name="l"), (None, None)),
        (QMaxPooling2D(name="l"), (None, 4, 4)),
        (QMaxPooling2D(9, name="l"), (None, 4, 4, 1)),
        (QBatchNormalization(name="l"), (None, None, 3)),
        (QEinsumDense("abc,cd->abd", (4, 3), name="l"), (None, 5, 4)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(layer, shape):
    with pytest.raises(ShapeError):
        layer.build(shape)


@pytest.mark.parametrize("shape", [(4, 1), (4, 7), (4, 2, 6)])
def test_another_shape_than_that_of_the_build_names_the_layer(shape):
    layer = QDense(3, name="mine")
    layer(ROW)
    with pytest.raises(ValueError, match="layer 'mine' is incompatible"):
        layer(np.ones(shape, np.float32))


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_half_precision_is_refused(policy):
    with pytest.raises(ConfigError, match=r"quantizer 'half_iq' computes in b?float16"):
        QDense(3, dtype=policy, name="half")(ROW)


# --- quantizers of every type -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "cost"),
    [("datalane", 3 * 8), ("weight", 3 * 8), ("bias", 6 * 3 * 8 * 8), ("all", 0)],
)
def test_a_dummy_costs_nothing_and_changes_no_number(place, cost, array):
    """Numbers of 9 fraction bits, which the quantizers of 6 would round; their sums are exact."""
    rng = np.random.default_rng(7)
    x, kernel, bias = (rng.integers(-511, 512, shape) / 512 for shape in ((4, 6), (6, 3), (3,)))
    with QuantizerConfigScope(place=place, default_q_type="dummy"):
        layer = QDense(3)
    model = model_of(layer, ROW)
    assert ebops(model) == cost
    layer.kernel.assign(kernel)
    layer.bias.assign(bias)

    def unless(dummy, values):
        return values if place in (dummy, "all") else np.floor(values * 64 + 0.5) / 64

    assert not np.array_equal(x, np.floor(x * 64 + 0.5) / 64)
    added = bias if place in ("bias", "all") else array(layer.qbias)
    assert np.array_equal(added, bias) == (place in ("bias", "all"))
    expected = unless("datalane", x) @ unless("weight", kernel) + added
    np.testing.assert_array_equal(array(model(x.astype("float32"), training=False)), expected)


def test_a_minifloat_trains_and_says_that_hardware_needs_fixed_point(array):
    with QuantizerConfigScope(default_q_type="float"):
        model = model_of(QDense(3, name="mini"), ROW)
    assert ebops(model) == 6 * 3 * 7 * 7 + 3 * 7
    assert np.isfinite(array(model(ROW, training=True))).all()
    with pytest.raises(UnsupportedError, match="'mini' is a minifloat; hardware needs 'kif' or 'kbi'"):
        to_graph(model)


def test_the_same_map_costs_the_same_however_it_is_written():
    x = SERIES
    dense, conv = model_of(QDense(3), x), model_of(QConv1D(3, 1), x)
    einsum = model_of(QEinsumDense("abc,cd->abd", (9, 3), bias_axes="d"), x)
    assert ebops(dense) == ebops(conv) == ebops(einsum) == 9 * 4 * 3 * 8 * 8 + 9 * 3 * 8


def test_ebops_are_scaled_by_what_is_built():
    assert ebops(model_of(QDense(3, parallelization_factor=1), SERIES)) * 9 == ebops(model_of(QDense(3), SERIES))
    assert ebops(model_of(QDense(3, ebops_factor=0.5), ROW)) * 2 == ebops(model_of(QDense(3), ROW))
    assert ebops(model_of(QDense(3, enable_ebops=False), ROW)) == 0.0
