"""Operators and keras.ops on tensors: the Graph computes what the model predicts, or says what to write instead."""

import keras
import numpy as np
import pytest
from keras import ops

from hgq_core.cost import ebops
from hgq_core.errors import DataError, UnsupportedError
from hgq_core.graph import run
from hgq_keras import Quantizer, to_graph, trace_minmax
from hgq_keras.layers import QDense, QUnaryFunctionLUT

RNG = np.random.default_rng(21)
ROW = (2 * RNG.normal(size=(7, 4))).astype(np.float32)


def quantized(x):
    """Six bits and a sign: no operation below needs calibration."""
    return Quantizer("kif", "datalane", k0=1, i0=3, f0=3, overflow_mode="SAT", heterogeneous_axis=())(x)


def square(x):
    return ops.reshape(x, (-1, 2, 2))


def model_of(function, shape=(4,)):
    x = keras.Input(shape)
    return keras.Model(x, function(quantized(x)))


MOVES = {
    "slice": (lambda x: x[:, 1:3], ["Slice"]),
    "slice with a step": (lambda x: x[:, ::2], ["Slice"]),
    "slice from behind": (lambda x: x[:, ::-1], ["Gather"]),
    "one element": (lambda x: x[..., -1], ["Slice", "Reshape"]),
    "new axis": (lambda x: x[:, None], ["Reshape"]),
    "concatenate": (lambda x: ops.concatenate([x, x[:, :1]], axis=-1), ["Slice", "Concatenate"]),
    "stack": (lambda x: ops.stack([x, x], axis=-1), ["Reshape", "Reshape", "Concatenate"]),
    "reshape": (lambda x: ops.reshape(x, (-1, 2, 2)), ["Reshape"]),
    "transpose": (lambda x: ops.transpose(square(x), (0, 2, 1)), ["Reshape", "Transpose"]),
    "swap axes": (lambda x: ops.swapaxes(square(x), 1, 2), ["Reshape", "Transpose"]),
    "expand and squeeze": (lambda x: ops.squeeze(ops.expand_dims(x, 1), 1), ["Reshape", "Reshape"]),
    "flip": (lambda x: ops.flip(x, axis=1), ["Gather"]),
    "roll": (lambda x: ops.roll(x, 1, axis=1), ["Gather"]),
    "tile": (lambda x: ops.tile(x, (1, 2)), ["Gather"]),
    "repeat": (lambda x: ops.repeat(x, 3, axis=1), ["Repeat"]),
    "take": (lambda x: ops.take(x, np.array([2, 0, 2]), axis=1), ["Gather"]),
    "pad": (lambda x: ops.pad(x, ((0, 0), (1, 2))), ["Pad"]),
    "pad with what is there": (lambda x: ops.pad(x, ((0, 0), (1, 2)), mode="reflect"), ["Gather"]),
    "zeros in between": (lambda x: ops.tril(square(x)), ["Reshape", "Reshape", "Pad", "Gather", "Reshape"]),
}
COMPUTED = {
    "add": lambda x: x + x,
    "subtract": lambda x: x - x[:, ::-1],
    "multiply": lambda x: x * x[:, ::-1],
    "constant": lambda x: x + 2.0,
    "large constant": lambda x: x + 229,
    "constant of many types": lambda x: x + np.array([0.5, -1, 2, 0]),
    "constant first": lambda x: 2 - x,
    "constant with a batch axis": lambda x: ops.multiply(x, np.array([[1.0, 2.0, 0.0, -0.25]], np.float32)),
    "scale": lambda x: x * 0.5,
    "divide": lambda x: x / -4,
    "negate": lambda x: -x,
    "absolute": abs,
    "square": ops.square,
    "maximum": lambda x: ops.maximum(x, 0.25),
    "minimum": lambda x: ops.minimum(x, x[:, ::-1]),
    "relu": ops.relu,
    "relu6": ops.relu6,
    "activation": keras.activations.relu,
    "limited activation": lambda x: keras.activations.relu(x, max_value=1.5),
    "leaky": lambda x: ops.leaky_relu(x, 0.25),
    "leaky and limited": lambda x: keras.activations.relu(x, negative_slope=0.5, max_value=1.5),
    "clip": lambda x: ops.clip(x, -0.3, 0.7),
    "hard tanh": ops.hard_tanh,
    "sum": lambda x: ops.sum(square(x), axis=-1),
    "sum of all": lambda x: ops.sum(square(x), axis=(1, 2), keepdims=True),
    "mean": lambda x: ops.mean(x, axis=1, keepdims=True),
    "average": lambda x: ops.average(x, axis=1),
    "largest": lambda x: ops.max(x, axis=1),
    "smallest": lambda x: ops.min(square(x), axis=-1),
    "matrix product": lambda x: ops.matmul(square(x), square(x[:, ::-1])),
    "matrix product with a constant": lambda x: ops.matmul(x, np.eye(4, 3, dtype=np.float32)),
    "constant matrix first": lambda x: ops.matmul(np.array([[1, 2], [0, 1]], np.float32), square(x)),
    "dot": lambda x: ops.dot(x, np.ones((4, 2), np.float32)),
    "tensordot": lambda x: ops.tensordot(x, np.ones((4, 2), np.float32), axes=1),
    "einsum": lambda x: ops.einsum("bij,bjk->bki", square(x), square(x)),
    "einsum with the same axes": lambda x: ops.einsum("...j,jk->...k", square(x), np.ones((2, 3), np.float32)),
    "comparison": lambda x: ops.cast(x > 0.5, "float32"),
    "choice": lambda x: ops.where(x >= 0, x, -0.5),
    "pooling": lambda x: ops.max_pool(ops.reshape(x, (-1, 2, 2, 1)), (2, 2), (2, 2)),
    "average pooling": lambda x: ops.average_pool(ops.reshape(x, (-1, 2, 2, 1)), (2, 2), (2, 2)),
    "no gradient": lambda x: ops.stop_gradient(x) + 1,
}


@pytest.mark.parametrize("name", MOVES)
def test_a_move_becomes_the_plainest_nodes_for_it(name, same_as_graph):
    function, kinds = MOVES[name]
    graph = same_as_graph(model_of(function), ROW, calibrate=False)
    assert [type(node.op).__name__ for node in graph][2:] == kinds


@pytest.mark.parametrize("name", COMPUTED)
def test_arithmetic_on_tensors_is_exact_and_costs_nothing(name, same_as_graph):
    assert ebops(same_as_graph(model_of(COMPUTED[name]), ROW, calibrate=False)) == 0


@pytest.mark.parametrize("function", [lambda x: ops.split(x, 2, axis=1), lambda x: ops.unstack(square(x), axis=1)])
def test_each_result_of_an_operation_may_be_used(function, same_as_graph):
    def difference(x):
        first, second = function(x)
        return first - 2 * second

    same_as_graph(model_of(difference), ROW, calibrate=False)


def test_operators_stand_between_layers_and_leave_their_ebops_alone(same_as_graph):
    x = keras.Input((4,))
    y = QDense(4, activation="relu")(x)
    z = QDense(2)(ops.concatenate([y * 0.5, y[:, 1:3]], axis=-1))
    model = keras.Model(x, z)
    graph = same_as_graph(model, ROW)
    assert ebops(graph) == pytest.approx(trace_minmax(model, ROW))


def test_moves_and_the_larger_of_two_may_come_before_the_first_quantizer(same_as_graph):
    x = keras.Input((4,))
    same_as_graph(keras.Model(x, QDense(2)(ops.maximum(x[:, 1:3], 0.25))), ROW)
    with pytest.raises(UnsupportedError, match="layer 'add' computes with numbers that are not quantized"):
        to_graph(keras.Model(x, QDense(2)(ops.add(x, 1.0))))


REFUSED = {
    "the batch axis in a reshape": (lambda x: ops.reshape(x, (-1, 2)), r"moves the batch axis.*keep axis 0"),
    "the batch axis in a stack": (lambda x: ops.stack([x, x], axis=0), r"mixes the rows of a batch.*keep axis 0"),
    "the batch axis in a sum": (ops.sum, r"reduces the batch axis \(axis=None\).*from 1"),
    "the batch axis in a product": (
        lambda x: ops.matmul(x, ops.transpose(x)),
        r"moves the batch axis|batch axis comes",
    ),
    "another number of axes": (lambda x: x + ops.reshape(x, (-1, 1, 4)), r"shapes \[.*expand_dims"),
    "a fixed batch": (lambda x: ops.broadcast_to(x[:, None], (1, 3, 4)), r"fixes the size of the batch axis.*repeat"),
    "another padding": (lambda x: ops.pad(x, ((0, 0), (1, 0)), constant_values=2.0), r"number other than 0.*ops\.add"),
    "a quotient": (lambda x: x / 3, r"divides by 3\.0.*x \* 0\.3333740234375"),
    "a quotient of tensors": (lambda x: 1 / x, r"divides by a tensor.*QUnaryFunctionLUT\(f\)"),
    "an average": (lambda x: ops.mean(x[:, :3], axis=1), r"average of 3 numbers.*sum\(x, axis=1\) \* 0\.3333740234375"),
    "a slope": (lambda x: ops.leaky_relu(x, 0.3), r"slope 0\.3.*such as 0\.25.*QUnaryFunctionLUT\(f\)"),
    "a power": (lambda x: x**3, r"products such as x \* x \* x"),
    "a function": (ops.sigmoid, r"QUnaryFunctionLUT\('sigmoid'\)\(x\)"),
    "a function of keras.ops": (ops.exp, r"QUnaryFunctionLUT\(keras\.ops\.exp\)\(x\)"),
    "softmax": (ops.softmax, r"from_logits=True"),
    "a sum along the way": (lambda x: ops.cumsum(x, axis=1), r"'cumsum' \(Cumsum\) has no exact hardware here; of"),
    "truth values": (lambda x: ops.sum(x > 0, axis=1), r"truth values.*keras\.ops\.cast"),
    "another type": (lambda x: ops.cast(x, "float16"), r"casts float32 to float16, which rounds"),
    "a constant that float32 rounds": (lambda x: x + np.full(4, 0.1), r"float64 with numbers that float32 rounds"),
    "a constant for each row": (lambda x: x + np.zeros((7, 4), np.float32), r"constant of shape \(7, 4\).*every row"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_exact_is_refused_with_what_to_write_instead(name):
    function, said = REFUSED[name]
    with pytest.raises(UnsupportedError, match=said):
        to_graph(model_of(function))


def test_a_constant_that_is_no_number_is_refused():
    with pytest.raises(DataError, match="its constant contains NaN or infinity"):
        to_graph(model_of(lambda x: x + float("inf")))


def leaking(x):
    return ops.leaky_relu(x, 0.3)


HELPFUL = {
    "a quotient": lambda x: x * 0.3333740234375,
    "an average": lambda x: ops.sum(x[:, :3], axis=1) * 0.3333740234375,
    "a slope of few bits": lambda x: ops.leaky_relu(x, 0.25),
    "a table for a slope": lambda x: x + QUnaryFunctionLUT(leaking)(x),
    "a power": lambda x: x * x * x,
    "a function": lambda x: x + QUnaryFunctionLUT("sigmoid")(x),
    "a function of keras.ops": lambda x: x + QUnaryFunctionLUT(ops.exp)(x),
    "a constant that float32 rounds": lambda x: x[:, :1] + np.float32(0.1) * np.zeros((1,), np.float32),
    "another padding": lambda x: ops.add(ops.pad(x, ((0, 0), (1, 0))), np.array([2, 0, 0, 0, 0], np.float32)),
    "another number of axes": lambda x: ops.expand_dims(x, 1) + ops.reshape(x, (-1, 1, 4)),
    "truth values": lambda x: ops.sum(ops.cast(x > 0, "float32"), axis=1),
    "softmax": lambda x: x,
}


@pytest.mark.parametrize("name", HELPFUL)
def test_what_a_message_says_helps(name, same_as_graph):
    same_as_graph(model_of(HELPFUL[name]), ROW)


class Add(keras.Operation):
    """Not what Keras calls so."""

    def call(self, x):
        return x * 3

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


def test_an_operation_of_one_s_own_is_not_taken_for_that_of_keras():
    with pytest.raises(UnsupportedError, match=r"\(Add\) is an operation of your own.*keras\.ops"):
        to_graph(model_of(Add()))


def test_a_declared_batch_size_is_kept(infer):
    x = keras.Input((4,), batch_size=5)
    model = keras.Model(x, ops.reshape(quantized(x), (5, 2, 2))[:, 0])
    np.testing.assert_array_equal(run(to_graph(model), ROW[:5]), infer(model, ROW[:5]))
