"""Layers of several tensors, and sums, beside Keras' own; the arguments of HGQ2; masks; and what is refused."""

import inspect

import keras
import numpy as np
import pytest

import hgq.layers
from hgq_core.cost import ebops as graph_ebops
from hgq_core.errors import ConfigError, ShapeError
from hgq_keras import QuantizerConfig, ebops, load_model, save_model
from hgq_keras.layers import (
    QAdd,
    QAveragePow2,
    QConcatenate,
    QDense,
    QDot,
    QEinsum,
    QMaximum,
    QMeanPow2,
    QMinimum,
    QMultiply,
    QSubtract,
    QSum,
)

DUMMY = QuantizerConfig("dummy", "datalane")


def draw(seed, *shape):
    """Numbers of few bits, whose sums and products float32 holds."""
    return (np.random.default_rng(seed).integers(-32, 33, shape) / 16).astype(np.float32)


def rows(*shapes):
    return [draw(seed, 5, *shape) for seed, shape in enumerate(shapes)]


MERGES = {
    "add": (QAdd, keras.layers.Add, rows((4, 3), (4, 3), (4, 3))),
    "add-broadcast": (QAdd, keras.layers.Add, rows((4, 3), (3,))),
    "subtract": (QSubtract, keras.layers.Subtract, rows((4, 3), (4, 1))),
    "multiply": (QMultiply, keras.layers.Multiply, rows((3,), (3,), (3,))),
    "maximum": (QMaximum, keras.layers.Maximum, rows((4, 3), (4, 3))),
    "minimum": (QMinimum, keras.layers.Minimum, rows((4, 3), (4, 3), (1, 3))),
    "average": (QAveragePow2, keras.layers.Average, rows((3,), (3,), (3,), (3,))),
    "concatenate": (QConcatenate, keras.layers.Concatenate, rows((4, 3), (4, 2))),
    "concatenate-rows": (lambda **k: QConcatenate(1, **k), lambda: keras.layers.Concatenate(1), rows((4, 3), (2, 3))),
    "dot": (QDot, lambda: keras.layers.Dot(-1), rows((4,), (4,))),
    "dot-rows": (QDot, lambda: keras.layers.Dot(-1), rows((2, 4), (3, 4))),
    "dot-axes": (lambda **k: QDot((2, 1), **k), lambda: keras.layers.Dot((2, 1)), rows((2, 4), (4, 3))),
    "dot-vector": (lambda **k: QDot((2, 1), **k), lambda: keras.layers.Dot((2, 1)), rows((2, 4), (4,))),
}


@pytest.mark.parametrize("name", MERGES)
def test_without_quantization_they_are_the_layers_of_keras(name, array):
    make, plain, xs = MERGES[name]
    ours = make(iq_confs=DUMMY)
    assert ours.compute_output_shape([x.shape for x in xs]) == plain().compute_output_shape([x.shape for x in xs])
    np.testing.assert_array_equal(array(ours(xs)), array(plain()(xs)))


@pytest.mark.parametrize(
    ("make", "wanted", "xs"),
    [
        (QSum, lambda x: x.sum(-1), rows((4, 3))),
        (lambda **k: QSum(axes=[1, -1], scale=0.25, keepdims=True, **k), lambda x: x.sum((1, 2), keepdims=True) / 4,
         rows((4, 3))),
        (lambda **k: QMeanPow2(axes=(1, 2), **k), lambda x: x.mean((1, 2)), rows((4, 2, 3))),
        (lambda **k: QMeanPow2(axes=1, keepdims=True, **k), lambda x: x.sum(1, keepdims=True) / 4, rows((3, 2))),
    ],
)  # fmt: skip
def test_sums_are_those_of_numpy(make, wanted, xs, array):
    # Means are of 8 numbers, and of 3, for which a quarter stands.
    np.testing.assert_array_equal(array(make(iq_conf=DUMMY)(xs[0])), wanted(xs[0]))


@pytest.mark.parametrize("equation", ["bij,bkj->bik", "b...j, b...j -> b...", "bij,bkj->bj", "bij,bkl->bilk"])
def test_equations_are_those_of_keras(equation, array):
    xs = rows((4, 3), (4, 3))
    wanted = keras.ops.einsum(equation.replace(" ", ""), *map(keras.ops.convert_to_tensor, xs))
    np.testing.assert_array_equal(array(QEinsum(equation, iq_confs=DUMMY)(xs)), array(wanted))


QUANTIZED = {
    "subtract": (lambda: QSubtract([QuantizerConfig(f0=2), QuantizerConfig(f0=4)]), [(4, 3), (4, 1)]),
    "multiply": (lambda: QMultiply(enable_oq=True), [(3,), (3,), (3,)]),
    "average": (QAveragePow2, [(3,), (3,), (3,)]),
    "concatenate": (lambda: QConcatenate(1), [(4, 3), (2, 3)]),
    "einsum": (lambda: QEinsum("bqd,bkd->bqk"), [(2, 4), (3, 4)]),
    "dot": (lambda: QDot((2, 1)), [(2, 4), (4,)]),
}


@pytest.mark.parametrize("name", QUANTIZED)
def test_inputs_of_different_shapes_equal_their_graph_and_are_saved(name, same_as_graph, infer, tmp_path):
    make, shapes = QUANTIZED[name]
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, make()(inputs))
    xs = [np.random.default_rng(n).normal(size=(6, *shape)).astype("float32") for n, shape in enumerate(shapes)]
    graph = same_as_graph(model, *xs)
    assert graph_ebops(graph) == pytest.approx(ebops(model), rel=1e-6)
    assert (ebops(model) > 0) == (name != "concatenate")
    save_model(model, tmp_path / "model.keras")
    np.testing.assert_array_equal(infer(load_model(tmp_path / "model.keras"), *xs), infer(model, *xs))


def test_a_deep_set_trains_and_equals_its_graph(same_as_graph):
    x = keras.Input((5, 3))
    y = QDense(2)(QSum(axes=1, scale=0.25)(QDense(4, activation="relu")(x)))
    model = keras.Model(x, y)
    model.compile("adam", "mse")
    data = np.random.default_rng(2).normal(size=(32, 5, 3)).astype("float32")
    before = model.evaluate(data, data.sum(1)[:, :2], verbose=0)
    model.fit(data, data.sum(1)[:, :2], epochs=8, verbose=0)
    assert model.evaluate(data, data.sum(1)[:, :2], verbose=0) < before
    same_as_graph(model, data)


# --- the peer ---

SIGNATURES = {
    "QAdd": {"iq_confs": None},
    "QSubtract": {"iq_confs": None},
    "QMultiply": {"iq_confs": None},
    "QMaximum": {"iq_confs": None},
    "QMinimum": {"iq_confs": None},
    "QAveragePow2": {"iq_confs": None},
    "QDot": {"axes": -1},
    "QEinsum": {"equation": inspect.Parameter.empty},
    "QSum": {"iq_conf": None, "axes": -1, "scale": 1.0, "keepdims": False},
    "QMeanPow2": {"iq_conf": None, "axes": -1, "keepdims": False},
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_are_those_of_hgq2(name):
    made = getattr(hgq.layers, name)
    assert made is getattr(hgq.layers, name[1:])
    parameters = list(inspect.signature(made).parameters.values())
    wanted = SIGNATURES[name]
    assert {p.name: p.default for p in parameters[: len(wanted)]} == wanted
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters[: len(wanted)])
    known = {p.name for p in parameters}
    assert {"enable_ebops", "beta0", "enable_oq", "enable_iq", "oq_conf", "ebops_factor"} <= known
    assert known & {"iq_conf", "iq_confs"}


# --- masks ---


def test_merges_hand_masks_on_as_those_of_keras_do():
    x = keras.layers.Masking()(keras.ops.convert_to_tensor([[[1.0], [0.0], [0.0]]]))
    y = keras.layers.Masking()(keras.ops.convert_to_tensor([[[0.0], [2.0], [0.0]]]))
    ours, plain = QAdd()([x, y]), keras.layers.Add()([x, y])
    mask = keras.ops.convert_to_numpy(ours._keras_mask)
    assert mask.tolist() == keras.ops.convert_to_numpy(plain._keras_mask).tolist() == [[True, True, False]]


def test_a_mask_ends_at_a_sum_with_a_warning():
    x = keras.layers.Masking()(keras.ops.convert_to_tensor([[[1.0], [0.0]]]))
    with pytest.warns(UserWarning, match="does not support mask"):
        QSum(axes=1)(x)


# --- refusals ---


@pytest.mark.parametrize(
    ("make", "shapes", "said"),
    [
        (lambda: QSubtract(name="l"), [(3,)] * 3, r"layer 'l': received 3 tensor\(s\), expected a list of two"),
        (lambda: QMultiply(name="l"), [(3,), (4,)], "layer 'l': shapes .* do not broadcast"),
        (lambda: QAveragePow2(name="l"), [(3,)], "layer 'l': received 1 tensor"),
        (lambda: QConcatenate(0, name="l"), [(3,)] * 2, "layer 'l': .*not the batch axis"),
        (lambda: QConcatenate(name="l"), [(3, 1), (2, 1)], "layer 'l': .*differ in another axis"),
        (lambda: QConcatenate(1.5, name="l"), [(3,)] * 2, "layer 'l': axis: received 1.5"),
        (lambda: QSum(axes=0, name="l"), (3,), "layer 'l': .*not the batch axis"),
        (
            lambda: QSum(axes=(1, 2), name="l"),
            (3,),
            "layer 'l': axes: received 2, expected an axis of",
        ),
        (lambda: QSum(axes="1", name="l"), (3,), "layer 'l': axes: received '1'"),
        (lambda: QSum(scale=3, name="l"), (3,), "layer 'l': scale: received 3, expected a power of two"),
        (lambda: QMeanPow2(axes=(0, 1), name="l"), (3,), "layer 'l': .*not the batch axis"),
        (lambda: QEinsum("ij,jk->ik", name="l"), [(3,)] * 2, "layer 'l': einsum equation 'ij,jk->ik': expected the ba"),
        (lambda: QEinsum("bi,bi,bi->b", name="l"), [(3,)] * 3, "layer 'l': einsum equation: .*expected two operands"),
        (lambda: QEinsum("bi,bi->b", name="l"), [(3,), (4,)], "layer 'l': .*axis 'i' is 3 in one operand"),
        (lambda: QEinsum(None, name="l"), [(3,)] * 2, "layer 'l': equation: received None"),
        (lambda: QDot(0, name="l"), [(3,)] * 2, "layer 'l': .*not the batch axis"),
        (lambda: QDot((1, 2, 3), name="l"), [(3,)] * 2, r"layer 'l': axes: received \(1, 2, 3\)"),
        (lambda: QDot(name="l"), [(3,), (4,)], "layer 'l': .*different sizes"),
        (lambda: QMaximum([QuantizerConfig()] * 3, name="l"), [(3,)] * 2, r"has 2 input\(s\) and received 3"),
        (lambda: QMinimum(name="l"), (3,), "layer 'l': received one tensor of shape .*expected a list"),
    ],
)
def test_what_does_not_fit_is_refused(make, shapes, said):
    inputs = [keras.Input(shape) for shape in shapes] if isinstance(shapes, list) else keras.Input(shapes)
    with pytest.raises((ConfigError, ShapeError), match=said):
        make()(inputs)
