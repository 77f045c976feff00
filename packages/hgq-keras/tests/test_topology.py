"""`to_graph` follows the wiring that Keras runs: order of inputs and outputs, constants, nested models, subclasses."""

import keras
import numpy as np
import pytest

from hgq_core.errors import DataError, UnsupportedError
from hgq_core.graph import run
from hgq_keras import Quantizer, to_graph, trace_minmax
from hgq_keras.layers import QAdd, QDense

RNG = np.random.default_rng(11)
A = RNG.normal(size=(6, 4)).astype(np.float32)
B = RNG.normal(size=(6, 4)).astype(np.float32)


def agree(model, *inputs, feed=None):
    """The graph takes inputs in the order of `model.inputs` and gives the outputs in that of `model.outputs`."""
    given = list(inputs) if len(inputs) > 1 else inputs[0]
    trace_minmax(keras.Model(model.inputs if len(inputs) > 1 else model.inputs[0], model.outputs), given)
    results = run(to_graph(model), *inputs)
    wanted = keras.tree.flatten(model.predict(given if feed is None else feed, verbose=0))
    results = results if isinstance(results, tuple) else (results,)
    assert len(results) == len(wanted)
    for got, value in zip(results, wanted, strict=True):
        np.testing.assert_array_equal(got, value)


def inputs(*names):
    return [keras.Input((4,), name=name) for name in names]


# --- order ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_inputs_in_a_dict_are_ordered_as_model_inputs(names):
    a, b = inputs("a", "b")
    both = {"a": a, "b": b}
    model = keras.Model({name: both[name] for name in names}, keras.layers.Subtract()([QDense(3)(a), QDense(3)(b)]))
    assert [tensor.name for tensor in model.inputs] == ["a", "b"]
    agree(model, A, B, feed={"a": A, "b": B})


def test_outputs_in_a_dict_are_ordered_as_model_outputs():
    (a,) = inputs("a")
    model = keras.Model(a, {"z": QDense(3)(a), "c": QDense(2)(a)})
    agree(model, A)


def test_inputs_in_a_nested_structure():
    a, b, c = inputs("a", "b", "c")
    y = keras.layers.Subtract()([QDense(3)(a), keras.layers.Subtract()([QDense(3)(b), QDense(3)(c)])])
    model = keras.Model([{"b": b, "a": a}, c], y)
    agree(model, A, B, A - B, feed=[{"b": B, "a": A}, A - B])


@pytest.mark.parametrize("struct", [dict, list])
def test_a_nested_model_that_is_called_with_a_dict(struct):
    a, b = inputs("a", "b")
    pair = {"b": b, "a": a} if struct is dict else [b, a]
    inner = keras.Model(pair, keras.layers.Subtract()([QDense(3)(a), QDense(3)(b)]))
    c, d = inputs("c", "d")
    agree(keras.Model([c, d], QDense(2)(inner({"b": d, "a": c}))), A, B)


# --- nested models as outputs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_a_nested_model_may_be_the_output(kind):
    (i,) = inputs("i")
    inner = keras.Model(i, QDense(4)(i)) if kind == "functional" else keras.Sequential([i, QDense(4)])
    (a,) = inputs("a")
    agree(keras.Model(a, inner(QDense(4)(a))), A)
    agree(keras.Model(a, inner(QDense(4)(inner(a)))), A)
    agree(keras.Model(a, [inner(a), inner(QDense(4)(inner(a)))]), A)


def test_a_nested_model_with_two_outputs_may_be_the_output():
    (i,) = inputs("i")
    inner = keras.Model(i, {"z": QDense(3)(i), "c": QDense(2)(i)})
    (a,) = inputs("a")
    y = inner(QDense(4)(a))
    agree(keras.Model(a, [y["z"], y["c"]]), A)
    agree(keras.Model(a, y), A)
    agree(keras.Model(a, [QDense(2)(y["z"]), y["c"]]), A)


def test_a_model_twice_nested_may_be_the_output():
    (i,) = inputs("i")
    inner = keras.Model(i, QDense(4)(i))
    (j,) = inputs("j")
    middle = keras.Model(j, inner(QDense(4)(j)))
    (a,) = inputs("a")
    agree(keras.Model(a, middle(a)), A)


# --- constants --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Add", "Subtract", "Multiply", "Maximum", "Minimum"])
def test_a_constant_operand_of_a_plain_layer_is_kept(kind):
    (a,) = inputs("a")
    y = Quantizer("kif", "datalane", f0=2, i0=2)(a)
    constant = keras.ops.convert_to_tensor(np.array([[0.5, -1.0, 2.25, 0.0]], np.float32))
    agree(keras.Model(a, getattr(keras.layers, kind)()([y, constant])), A)


def test_a_constant_between_two_tensors():
    (a,) = inputs("a")
    y = QDense(4)(a)
    agree(keras.Model(a, keras.layers.Add()([y, keras.ops.ones((1, 4)), y])), A)


def test_a_constant_operand_of_a_quantized_layer_is_refused():
    """Its layer counts the constant as data; in the Graph it would be a bias, which costs something else."""
    (a,) = inputs("a")
    with pytest.raises(UnsupportedError, match=r"layer 'sum' \(QAdd\).*constant operand.*keras\.layers\.Add"):
        to_graph(keras.Model(a, QAdd(name="sum")([QDense(4)(a), keras.ops.ones((1, 4))])))


@pytest.mark.parametrize(
    ("constant", "said"),
    [
        (np.ones((6, 4)), r"layer 'sum'.*constant of shape \(6, 4\).*first axis"),
        (np.ones((1, 2, 4)), r"layer 'sum'.*constant of shape \(1, 2, 4\).*at most 2 axes"),
    ],
)
def test_a_constant_that_does_not_hold_for_every_row_is_refused(constant, said):
    x = keras.Input((4,), batch_size=constant.shape[0])
    model = keras.Model(x, keras.layers.Add(name="sum")([QDense(4)(x), keras.ops.convert_to_tensor(constant)]))
    with pytest.raises(UnsupportedError, match=said):
        to_graph(model)


def test_a_constant_elsewhere_is_refused():
    x = keras.Input((4,), batch_size=1)
    joined = keras.layers.Concatenate(name="join")([QDense(4)(x), keras.ops.ones((1, 3))])
    with pytest.raises(UnsupportedError, match=r"layer 'join' \(Concatenate\).*constant operand.*keras\.layers\.Add"):
        to_graph(keras.Model(x, joined))


def test_an_infinite_constant_is_refused():
    (a,) = inputs("a")
    constant = keras.ops.convert_to_tensor(np.full((1, 4), np.inf, np.float32))
    with pytest.raises(DataError, match="layer 'sum': its constant contains NaN or infinity"):
        to_graph(keras.Model(a, keras.layers.Add(name="sum")([QDense(4)(a), constant])))


@pytest.mark.parametrize("make", [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a + 1.0])
def test_an_operator_on_tensors_stands_between_layers(make):
    a, b = inputs("a", "b")
    narrow = [Quantizer("kif", "datalane", f0=2)(QDense(3)(x)) for x in (a, b)]  # products of seven bits
    agree(keras.Model([a, b], QDense(2)(make(*narrow))), A, B)


# --- subclasses -------------------------------------------------------------------------------------------------------


class Half(keras.layers.Dropout):
    def call(self, inputs, training=False):
        return inputs * 0.5


class Doubled(keras.layers.ReLU):
    def call(self, inputs):
        return super().call(inputs) * 2


class Added(keras.layers.Add):
    def call(self, inputs):
        return inputs[0]


class OwnCall(QDense):
    def call(self, inputs, training=None):
        return super().call(inputs, training=training) * 2


class OwnQuantizer(Quantizer):
    def call(self, x, training=None):
        return super().call(x, training=training) * 2


class OwnModel(keras.Model):
    def call(self, inputs, training=None):
        return super().call(inputs, training=training) * 2


class OwnSequential(keras.Sequential):
    def call(self, inputs, training=None):
        return super().call(inputs, training=training) * 2


def own_model():
    i = keras.Input((4,))
    return OwnModel(inputs=i, outputs=QDense(3)(i), name="d")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Half(0.5, name="d"), r"layer 'd' \(Half\) is a subclass of Dropout"),
        (lambda: Doubled(name="d"), r"layer 'd' \(Doubled\) is a subclass of ReLU"),
        (lambda: OwnCall(3, name="d"), r"layer 'd' \(OwnCall\).*own call.*put it into its declaration"),
        (lambda: OwnQuantizer("kif", "datalane", name="d"), r"layer 'd' \(OwnQuantizer\).*own call"),
        (own_model, r"'d' \(OwnModel\).*own call"),
        (lambda: OwnSequential([keras.Input((4,)), QDense(3)], name="d"), r"'d' \(OwnSequential\).*own call"),
    ],
)
def test_a_subclass_that_computes_something_else_is_refused(make, said):
    with pytest.raises(UnsupportedError, match=said):
        to_graph(keras.Sequential([keras.Input((4,)), Quantizer("kif", "datalane"), make()]))


def test_a_subclass_of_a_merge_layer_is_refused():
    (a,) = inputs("a")
    with pytest.raises(UnsupportedError, match=r"layer 'd' \(Added\) is a subclass of Add"):
        to_graph(keras.Model(a, Added(name="d")([QDense(3)(a), QDense(3)(a)])))


def test_a_whole_model_with_a_call_of_its_own_is_refused():
    with pytest.raises(UnsupportedError, match=r"'d' \(OwnModel\).*own call"):
        to_graph(own_model())


class Renamed(QDense):
    """Adds nothing to the computation."""


class Together(QDense):
    def declaration(self):
        return super().declaration()


class Trainer(keras.Model):
    def train_step(self, *args):
        return super().train_step(*args)


@pytest.mark.parametrize("layer", [Renamed, Together])
def test_a_subclass_that_computes_the_same_is_exported(layer):
    (a,) = inputs("a")
    agree(Trainer(inputs=a, outputs=layer(3)(a)), A)
