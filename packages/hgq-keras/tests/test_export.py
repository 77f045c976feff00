"""`to_graph`: every topology, every plain layer that hardware can take, and a clear answer for what it cannot."""

import keras
import numpy as np
import pytest

from hgq_core.cost import ebops as graph_ebops
from hgq_core.cost import ebops_by_label
from hgq_core.errors import DataError, UnsupportedError
from hgq_core.graph import load, run, save
from hgq_keras import Quantizer, QuantizerConfig, QuantizerConfigScope, ebops, to_graph, trace_minmax
from hgq_keras.layers import QAdd, QBatchNormalization, QConv2D, QDense, QMaxPooling2D, QUnaryFunctionLUT

RNG = np.random.default_rng(5)
ROW = RNG.normal(size=(6, 5)).astype(np.float32)
OTHER = RNG.normal(size=(6, 5)).astype(np.float32)
SERIES = RNG.normal(size=(6, 8, 3)).astype(np.float32)
DUMMY = QuantizerConfig("dummy")
IMAGE = RNG.normal(size=(6, 6, 6, 3)).astype(np.float32)


# --- topologies -------------------------------------------------------------------------------------------------------


def test_sequential(same_as_graph):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            QConv2D(4, 3, activation="relu", name="conv"),
            QMaxPooling2D(name="pool"),
            keras.layers.Flatten(),
            QBatchNormalization(name="norm"),
            QDense(3, name="out", enable_oq=True),
        ]
    )
    graph = same_as_graph(model, IMAGE)
    assert graph_ebops(graph) == pytest.approx(ebops(model), rel=1e-12)
    assert list(ebops_by_label(graph)) == ["conv", "pool", "norm", "out"]


def test_a_sequential_model_that_was_built_by_its_first_call(same_as_graph):
    model = keras.Sequential([QDense(4, activation="relu"), QDense(2)])
    model(ROW)
    same_as_graph(model, ROW)


def test_functional_with_branches_two_inputs_and_two_outputs(infer):
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    left, right = QDense(4, activation="relu", name="left")(a), QDense(4, name="right")(b)
    both = QAdd(name="sum")([left, right])
    model = keras.Model([a, b], [QDense(2, name="first")(both), QUnaryFunctionLUT("tanh", name="second")(left)])
    trace_minmax(model, [ROW, OTHER])
    graph = to_graph(model)
    assert [graph[name].label for name in graph.outputs] == ["first", "second"]
    outputs = run(graph, ROW, OTHER)
    for got, wanted in zip(outputs, model([ROW, OTHER], training=False), strict=True):
        np.testing.assert_array_equal(got, keras.ops.convert_to_numpy(wanted))


def test_a_layer_that_is_used_twice_keeps_its_weights_and_widths(same_as_graph):
    shared = QDense(5, activation="relu", name="shared")
    x = keras.Input((5,))
    model = keras.Model(x, QDense(2)(shared(shared(x))))
    graph = same_as_graph(model, ROW)
    assert len([node for node in graph if node.label == "shared" and node.ebops_factor]) == 4


def test_nested_models(same_as_graph):
    inner_input = keras.Input((5,))
    hidden = QDense(4, activation="relu", name="hidden")(inner_input)
    inner = keras.Model(inner_input, QDense(3, name="up")(hidden), name="inner")
    tail = keras.Sequential([keras.Input((3,)), QDense(4, name="hidden"), keras.layers.ReLU()], name="tail")
    x = keras.Input((5,))
    model = keras.Model(x, QDense(2, name="out")(tail(inner(x))))
    graph = same_as_graph(model, ROW)
    assert list(ebops_by_label(graph)) == ["inner/hidden", "inner/up", "tail/hidden", "out"]
    assert graph_ebops(graph) == pytest.approx(ebops(model), rel=1e-12)


def test_a_nested_model_that_is_used_twice(same_as_graph):
    inner = keras.Sequential([keras.Input((5,)), QDense(5, activation="relu", name="d")], name="inner")
    x = keras.Input((5,))
    model = keras.Model(x, inner(inner(x)))
    graph = same_as_graph(model, ROW)
    assert len({node.name for node in graph}) == len(graph)


def test_a_model_inside_a_sequential_model(same_as_graph):
    inner = keras.Sequential([keras.Input((5,)), QDense(4, activation="relu")])
    same_as_graph(keras.Sequential([keras.Input((5,)), inner, QDense(2)]), ROW)


def test_an_output_that_is_an_input_of_another_layer(infer):
    x = keras.Input((5,))
    first = QDense(4, name="first")(x)
    model = keras.Model(x, {"second": QDense(2, name="second")(first), "first": first})
    trace_minmax(keras.Model(x, model.outputs), ROW)
    graph = to_graph(model)
    wanted = model(ROW, training=False)
    labels = [graph[name].label for name in graph.outputs]
    for label, got in zip(labels, run(graph, ROW), strict=True):
        np.testing.assert_array_equal(got, keras.ops.convert_to_numpy(wanted[label]))


def test_quantizers_alone(same_as_graph):
    x = keras.Input((5,))
    for config in (
        QuantizerConfig("kif", f0=2, scaler=0.25),
        QuantizerConfig("kif", f0=2, affine=(0.5, -3.0)),
        QuantizerConfig("kif", f0=2, scaler=2.0, affine=(-4.0, 0.25)),
        QuantizerConfig("kbi", b0=5, heterogeneous_axis=()),
        QuantizerConfig("kif", f0=3, blocks={1: 5}),
        QuantizerConfig("kif", f0=3, round_mode="TRN", overflow_mode="SAT_SYM", i0=0),
    ):
        same_as_graph(keras.Model(x, Quantizer(config)(x)), ROW)


@pytest.mark.parametrize("overflow", ["WRAP", "SAT", "SAT_SYM"])
@pytest.mark.parametrize("rounding", ["TRN", "RND", "RND_CONV"])
@pytest.mark.parametrize("before", [False, True], ids=["on an input", "on a quantized number"])
def test_a_negative_scaler_flips_the_sign_before_and_after(same_as_graph, rounding, overflow, before):
    x = keras.Input((5,))
    options = {"round_mode": rounding, "overflow_mode": overflow, "heterogeneous_axis": ()}
    negative = Quantizer(QuantizerConfig("kif", f0=2, i0=1, k0=1, scaler=-0.5, affine=(2.0, 1.0), **options))
    y = Quantizer("kif", "datalane", f0=9)(x) if before else x
    model = keras.Model(x, negative(y))
    trace_minmax(model, ROW)
    # Beyond the calibrated range too, on both sides.
    same_as_graph(model, np.concatenate([ROW, 3 * ROW, -3 * ROW]), calibrate=False)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: QDense(2, enable_iq=False, name="d"),
        lambda: keras.layers.Add(name="d"),
        lambda: QBatchNormalization(iq_conf=DUMMY, name="d"),
    ],
)
def test_arithmetic_before_the_first_quantizer_names_the_layer(layer):
    x = keras.Input((5,))
    made = layer()
    with pytest.raises(
        UnsupportedError, match=r"layer 'd' computes with numbers that are not quantized.*enable_iq=True"
    ):
        to_graph(keras.Model(x, made([x, x]) if isinstance(made, keras.layers.Add) else made(x)))


def test_numbers_may_move_and_be_compared_before_the_first_quantizer(same_as_graph):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.ReLU(),
            keras.layers.Permute((2, 1, 3)),
            keras.layers.Flatten(),
            QDense(2),
        ]
    )
    same_as_graph(model, IMAGE)


@pytest.mark.parametrize("overflow_mode", ["WRAP", "SAT", "SAT_SYM"])
@pytest.mark.parametrize("q_type", ["kif", "kbi"])
def test_every_type_and_overflow_mode_everywhere(q_type, overflow_mode, same_as_graph):
    """The bias has enough integer bits for what it holds, whatever its mode."""
    with QuantizerConfigScope(default_q_type=q_type, overflow_mode=overflow_mode, i0=2, f0=4):
        model = keras.Sequential([keras.Input((5,)), QDense(4, activation="relu", bias_initializer="ones"), QDense(2)])
    graph = same_as_graph(model, ROW)
    assert graph_ebops(graph) == pytest.approx(ebops(model), rel=1e-12)


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model = keras.Sequential([keras.Input((5,)), QDense(3), QDense(2)])
    trace_minmax(model, ROW)
    first, second = save(to_graph(model), tmp_path / "a.hgq.npz"), save(to_graph(model), tmp_path / "b.hgq.npz")
    assert first.read_bytes() == second.read_bytes()
    np.testing.assert_array_equal(run(load(first), ROW), run(to_graph(model), ROW))


# --- plain layers -----------------------------------------------------------------------------------------------------

PLAIN = {
    "activation-relu": (ROW, lambda: keras.layers.Activation("relu")),
    "activation-linear": (ROW, lambda: keras.layers.Activation("linear")),
    "dropout": (ROW, lambda: keras.layers.Dropout(0.5)),
    "gaussian-noise": (ROW, lambda: keras.layers.GaussianNoise(0.5)),
    "identity": (ROW, keras.layers.Identity),
    "relu": (ROW, keras.layers.ReLU),
    "relu6": (ROW, lambda: keras.layers.ReLU(max_value=1.5)),
    "repeat": (ROW, lambda: keras.layers.RepeatVector(3)),
    "reshape": (SERIES, lambda: keras.layers.Reshape((4, -1))),
    "flatten": (SERIES, keras.layers.Flatten),
    "permute": (IMAGE, lambda: keras.layers.Permute((3, 1, 2))),
    "max1d": (SERIES, lambda: keras.layers.MaxPooling1D(2)),
    "max1d-same": (SERIES, lambda: keras.layers.MaxPooling1D(3, strides=2, padding="same")),
    "max2d": (IMAGE, lambda: keras.layers.MaxPooling2D((2, 3))),
    "max2d-same": (IMAGE, lambda: keras.layers.MaxPooling2D(4, strides=3, padding="same")),
    "pad1d": (SERIES, lambda: keras.layers.ZeroPadding1D((1, 2))),
    "pad2d": (IMAGE, lambda: keras.layers.ZeroPadding2D(((1, 0), (2, 3)))),
    "spatial-dropout": (IMAGE, lambda: keras.layers.SpatialDropout2D(0.3)),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_layer_that_moves_or_compares_is_exact(name, same_as_graph):
    x, make = PLAIN[name]
    y = keras.Input(x.shape[1:])
    model = keras.Model(y, make()(Quantizer("kif", "datalane", f0=3)(y)))
    graph = same_as_graph(model, x)
    assert graph_ebops(graph) == 0


@pytest.mark.parametrize("kind", ["Add", "Subtract", "Maximum", "Minimum", "Multiply", "Concatenate"])
def test_a_plain_layer_of_two_tensors_is_exact(kind, same_as_graph):
    a, b = keras.Input((5,)), keras.Input((5,))
    quantized = [Quantizer("kif", "datalane", f0=f)(x) for f, x in ((2, a), (4, b))]
    same_as_graph(keras.Model([a, b], getattr(keras.layers, kind)()(quantized)), ROW, OTHER)


def test_concatenation_along_another_axis(same_as_graph):
    x = keras.Input((8, 3))
    quantized = Quantizer("kif", "datalane", f0=3)(x)
    for axis in (1, 2, -1, -2):
        joined = keras.layers.Concatenate(axis=axis)([quantized, keras.layers.ReLU()(quantized)])
        same_as_graph(keras.Model(x, joined), SERIES)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "x", "said"),
    [
        (lambda: keras.layers.Dense(2, name="d"), ROW, r"layer 'd' \(Dense\) is not quantized.*use QDense instead"),
        (lambda: keras.layers.Conv2D(2, 2, name="d"), IMAGE, r"layer 'd' \(Conv2D\).*use QConv2D instead"),
        (lambda: keras.layers.BatchNormalization(name="d"), ROW, r"'d' \(BatchNorm.*use QBatchNormalization instead"),
        (
            lambda: keras.layers.AveragePooling2D(3, name="d"),
            IMAGE,
            r"layer 'd' \(Aver.*or use QAveragePooling2D\(\(3, 3\)\)",
        ),
        (
            lambda: keras.layers.Softmax(name="d"),
            ROW,
            r"layer 'd' \(Softmax\).*from_logits=True.*end the exported model before it",
        ),
        (lambda: keras.layers.LeakyReLU(name="d"), ROW, r"layer 'd' \(LeakyReLU\)"),
        (lambda: keras.layers.ReLU(negative_slope=0.1, name="d"), ROW, r"layer 'd' \(ReLU\)"),
        (
            lambda: keras.layers.MaxPooling2D(2, data_format="channels_first", name="d"),
            IMAGE,
            r"layer 'd' \(MaxPooling2D\)",
        ),
        (lambda: keras.layers.Activation("tanh", name="d"), ROW, r"activation 'tanh'.*QUnaryFunctionLUT\('tanh'\)"),
        (lambda: QDense(2, activation="gelu", name="d"), ROW, r"layer 'd': activation 'gelu' has no exact hardware"),
    ],
)
def test_a_layer_without_exact_hardware_is_named_with_the_remedy(layer, x, said):
    model = keras.Sequential([keras.Input(x.shape[1:]), Quantizer("kif", "datalane"), layer()])
    with pytest.raises(UnsupportedError, match=said):
        to_graph(model)


def test_a_layer_inside_a_nested_model_is_named_with_its_path():
    inner = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2, name="plain")], name="inner")
    with pytest.raises(UnsupportedError, match="layer 'inner/plain'"):
        to_graph(keras.Sequential([keras.Input((5,)), inner], name="outer"))


class Subclassed(keras.Model):
    def __init__(self, units):
        super().__init__(name="mine")
        self.dense = QDense(units)

    def call(self, x):
        return self.dense(x)


def test_subclassed_models_have_no_topology():
    model = Subclassed(3)
    model(ROW)
    assert ebops(model) > 0
    for outer in (model, keras.Sequential([keras.Input((5,)), model])):
        with pytest.raises(UnsupportedError, match=r"model 'mine' is a subclass.*functional API"):
            to_graph(outer)


def test_a_model_that_is_not_built_or_has_an_open_size():
    with pytest.raises(UnsupportedError, match="not built"):
        to_graph(keras.Sequential([QDense(3)]))
    x = keras.Input((None,))
    with pytest.raises(UnsupportedError, match=r"input shape \(None, None\) must be fixed"):
        to_graph(keras.Model(x, keras.layers.ReLU()(x)))


def test_a_call_that_fixes_training_is_refused():
    x = keras.Input((5,))
    with pytest.raises(UnsupportedError, match="layer 'd': it is called with training=True"):
        to_graph(keras.Model(x, QDense(2, name="d")(x, training=True)))


def test_a_scaler_that_would_round_is_refused():
    x = keras.Input((5,))
    with pytest.raises(UnsupportedError, match=r"scaler 3\.0 is no power of two"):
        to_graph(keras.Model(x, Quantizer("kif", "datalane", scaler=3.0, name="q")(x)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["kernel", "bias", "iq/f", "kq/b", "kq/i", "bq/k"])
def test_nan_and_infinity_in_weights_and_widths_name_layer_and_variable(name, value, array):
    model = keras.Sequential([keras.Input((5,)), QDense(3, name="mine")])
    variable = next(v for v in model.layers[0].weights if v.path.endswith(name))
    spoiled = np.array(array(variable))
    spoiled.flat[0] = value
    before = trace_minmax(model, ROW)
    variable.assign(spoiled)
    with pytest.raises(DataError, match=f"layer 'mine': its variable '.*{name}' contains NaN or infinity"):
        to_graph(model)
    with pytest.raises(DataError, match="layer 'mine'"):
        trace_minmax(model, ROW)
    assert before > 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_in_a_normalisation(value):
    model = keras.Sequential([keras.Input((5,)), QBatchNormalization(name="norm")])
    model.layers[0].moving_variance.assign(np.full(5, value))
    with pytest.raises(DataError, match=r"layer 'norm'.*moving_variance"):
        to_graph(model)
