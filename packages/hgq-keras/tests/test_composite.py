"""A layer of a user's own that holds others: nothing inside is forgotten, and a declaration is all there is to it."""

from types import MappingProxyType, SimpleNamespace

import keras
import numpy as np
import pytest

import hgq_keras
from hgq_core.cost import ebops, ebops_by_label
from hgq_core.errors import ConfigError, ShapeError, UnsupportedError
from hgq_core.graph import run
from hgq_core.graph.ops import Add, Relu
from hgq_core.layers import BatchNormalization, Dense
from hgq_keras.callbacks import BetaScheduler
from hgq_keras.layers import QDense, QLayer


@keras.saving.register_keras_serializable(package="tests")
class Gate(QLayer):
    """``first(x) + others[0](y)``."""

    many_inputs = True

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = QDense(units, activation="relu", enable_oq=True, name="first")
        self.others = [QDense(units, enable_oq=True, name="other")]

    def declaration(self):
        def declare(t, x, y):
            return t.op(Add(), t.call("first", self.first, x), t.call("others/0", self.others[0], y))

        return declare

    def get_config(self):
        return super().get_config() | {"units": self.units}


@pytest.fixture
def model():
    keras.utils.set_random_seed(4)
    x, y = keras.Input((5,), name="x"), keras.Input((3,), name="y")
    joined = Gate(4, enable_iq=False, enable_ebops=True, name="gate")([x, y])
    return keras.Model([x, y], QDense(2, name="last")(joined))


@pytest.fixture
def data():
    rng = np.random.default_rng(5)
    return [rng.normal(size=(64, 5)).astype("float32"), rng.normal(size=(64, 3)).astype("float32")]


def parts(model):
    gate = model.get_layer("gate")
    return [gate, gate.first, gate.others[0], model.get_layer("last")]


def test_what_is_inside_is_found_and_counted(model, data):
    hgq_keras.trace_minmax(model, data)
    assert hgq_keras.quantized_layers(model) == parts(model)
    costs = [layer.ebops for layer in parts(model)]
    assert all(cost > 0 for cost in costs)
    assert hgq_keras.ebops(model) == sum(costs)
    graph = hgq_keras.to_graph(model)
    assert ebops(graph) == pytest.approx(sum(costs))
    assert list(ebops_by_label(graph)) == ["gate/first", "gate/other", "gate", "last"]
    assert list(ebops_by_label(graph).values()) == pytest.approx([costs[1], costs[2], costs[0], costs[3]])


def test_what_it_computes_itself_is_counted_unless_it_is_told_otherwise():
    shapes = [(None, 5), (None, 3)]
    layers = [Gate(4, enable_iq=False, enable_ebops=wanted) for wanted in (None, True, False)]
    for layer in layers:
        layer.build(shapes)
    assert [layer.enable_ebops for layer in layers] == [True, True, False]
    again = Gate.from_config(Gate(4, enable_iq=False).get_config())
    again.build(shapes)
    assert again.enable_ebops


def test_a_layer_inside_with_a_call_of_its_own_is_not_exported():
    class Doubled(QDense):
        def call(self, inputs, training=None):
            return 2 * super().call(inputs, training=training)

    class Outer(QLayer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = Doubled(2, name="inner")

        def declaration(self):
            return lambda t, x: t.call("inner", self.inner, x)

    model = keras.Sequential([keras.Input((3,)), Outer(enable_iq=False, name="outer")])
    hgq_keras.trace_minmax(model, np.ones((2, 3), "float32"))
    with pytest.raises(UnsupportedError, match=r"layer 'outer/inner' \(Doubled\) has its own call"):
        hgq_keras.to_graph(model)


def test_what_is_inside_is_calibrated(model, data):
    assert hgq_keras.uncalibrated(model) == ["gate/first", "gate/other", "last"]
    hgq_keras.trace_minmax(model, [40 * x for x in data])
    assert hgq_keras.uncalibrated(model) == []
    first = model.get_layer("gate").first
    assert float(np.max(keras.ops.convert_to_numpy(first.iq.kif[1]))) >= 6
    first.kernel.assign(first.kernel * 2)
    assert hgq_keras.uncalibrated(model) == ["gate/first"]


def test_the_graph_computes_what_the_model_computes(model, data, infer):
    hgq_keras.trace_minmax(model, data)
    graph = hgq_keras.to_graph(model)
    assert np.array_equal(run(graph, *data), infer(model, data))


def test_what_is_inside_is_trained_at_its_beta(model, data):
    model.compile("adam", "mse")
    y = np.zeros((64, 2), "float32")
    before = [np.array(keras.ops.convert_to_numpy(layer.kernel)) for layer in parts(model)[1:]]
    model.fit(data, y, epochs=2, verbose=0, callbacks=[BetaScheduler(lambda _: 1e-3)])
    for layer, kernel in zip(parts(model)[1:], before, strict=True):
        assert layer.beta == pytest.approx(1e-3)
        assert np.any(keras.ops.convert_to_numpy(layer.kernel) != kernel)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_what_is_inside_is_saved(model, data, infer, tmp_path, suffix):
    hgq_keras.trace_minmax(model, data)
    loaded = hgq_keras.load_model(hgq_keras.save_model(model, tmp_path / f"model{suffix}"))
    assert np.array_equal(infer(loaded, data), infer(model, data))
    assert hgq_keras.ebops(loaded) == hgq_keras.ebops(model)
    if suffix == ".keras":  # the other one has no place for what is no variable
        assert hgq_keras.uncalibrated(loaded) == []


def test_a_collapsed_layer_inside_is_named(model, data):
    hgq_keras.trace_minmax(model, data)
    first = model.get_layer("gate").first
    first.kq._b.assign(keras.ops.zeros(first.kq._b.shape))
    assert hgq_keras.dead_layers(model) == {"gate/first": "every quantized weight is 0"}


def test_a_layer_that_is_applied_twice_counts_twice():
    class Twice(QLayer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = QDense(3, name="dense")

        def declaration(self):
            return lambda t, x: t.call("dense", self.dense, t.call("dense", self.dense, x))

    x = keras.Input((3,))
    layer = Twice(enable_iq=False)
    model = keras.Model(x, layer(x))
    assert hgq_keras.ebops(model) == 2 * layer.dense.ebops
    hgq_keras.trace_minmax(model, np.ones((4, 3), "float32"))
    assert ebops(hgq_keras.to_graph(model)) == pytest.approx(2 * layer.dense.ebops)


def test_a_layer_inside_that_is_not_held_is_refused():
    class Loose(QLayer):
        def declaration(self):
            return lambda t, x: t.call("dense", QDense(2, name="loose"), x)

    with pytest.raises(ConfigError, match="applies 'loose' as 'dense' and does not hold it; make it an attribute"):
        Loose(name="outer")(np.ones((1, 3), "float32"))


def test_a_layer_without_a_declaration_is_refused():
    class Nothing(QLayer):
        pass

    with pytest.raises(ConfigError, match=r"declaration\(\) returned None, expected a function of a trace"):
        Nothing()(np.ones((1, 3), "float32"))


def test_a_hook_of_an_older_version_is_refused():
    class Old(QDense):
        def compute(self, inputs, training):
            return inputs[0]

    with pytest.raises(ConfigError, match="has a method 'compute', which was a hook"):
        Old(2)(np.ones((1, 3), "float32"))


def test_ebops_need_a_number_of_bits():
    class Rectified(QLayer):
        def declaration(self):
            return lambda t, x: t.op(Relu(), x)

    with pytest.raises(ConfigError, match="EBOPs count the bits of the input, and enable_iq=False leaves them unknown"):
        Rectified(enable_iq=False, enable_ebops=True)(np.ones((1, 3), "float32"))


# --- what is inside is held, built and named ---


class Applies(QLayer):
    """Applies one layer that it holds somehow."""

    def __init__(self, held, chosen, **kwargs):
        super().__init__(**kwargs)
        self.held = held
        self.chosen = chosen

    def declaration(self):
        return lambda t, *xs: t.call("inner", self.chosen(self.held), *xs)


ROWS = np.ones((2, 3), "float32")


@pytest.mark.parametrize(
    ("hold", "chosen"),
    [
        (lambda layer: MappingProxyType({"a": layer}), lambda held: held["a"]),
        (lambda layer: frozenset([layer]), lambda held: next(iter(held))),
        (lambda layer: SimpleNamespace(a=layer), lambda held: held.a),
    ],
)
def test_a_layer_that_keras_does_not_find_is_refused(hold, chosen):
    with pytest.raises(ConfigError, match="applies 'lost' as 'inner' and does not hold it"):
        Applies(hold(QDense(2, name="lost")), chosen)(ROWS)


@pytest.mark.parametrize(
    ("hold", "chosen"),
    [
        (lambda layer: [[layer]], lambda held: held[0][0]),
        (lambda layer: {"a": (layer,)}, lambda held: held["a"][0]),
    ],
)
def test_a_layer_in_a_collection_is_held(hold, chosen):
    inner = QDense(2)
    layer = Applies(hold(inner), chosen)
    layer(ROWS)
    assert {id(v) for v in inner.variables} <= {id(v) for v in layer.variables}


def test_shapes_are_known_before_anything_is_built():
    inner = QDense(2)
    layer = Applies(inner, lambda held: held)
    assert layer.compute_output_shape((None, 3)) == (None, 2)
    assert not inner.built
    assert not layer.built


def test_a_layer_of_many_inputs_may_get_one():
    class First(QLayer):
        many_inputs = True

        def declaration(self):
            return lambda t, *xs: t.op(Relu(), xs[0])

    assert tuple(Applies(First(), lambda held: held)(ROWS).shape) == ROWS.shape


def test_two_layers_of_one_name_are_refused():
    class Chain(QLayer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.parts = [QDense(3, name="same"), QDense(3, name="same")]

        def declaration(self):
            return lambda t, x: t.call("1", self.parts[1], t.call("0", self.parts[0], x))

    with pytest.raises(ConfigError, match="layer 'outer' holds two layers called 'same'"):
        Chain(name="outer")(ROWS)


def test_a_layer_inside_is_of_one_size():
    inner = QDense(2, name="inner")
    inner(np.ones((1, 4), "float32"))
    with pytest.raises(ShapeError, match=r"layer 'outer' applies 'inner', built for shapes .*hold a second layer"):
        Applies(inner, lambda held: held, name="outer")(ROWS)


def test_a_frozen_layer_freezes_what_is_inside():
    inner = QDense(2)
    Applies(inner, lambda held: held, trainable=False)(ROWS)
    assert not inner.trainable
    assert inner.iq.is_frozen


def test_ebops_need_a_number_of_bits_inside_too():
    with pytest.raises(ConfigError, match="enable_iq=False leaves them unknown"):
        Applies(QDense(2, enable_iq=False), lambda held: held, enable_iq=False, enable_ebops=True)(ROWS)


# --- slots are attributes ---


def test_weights_of_a_declared_part_are_attributes(infer, tmp_path):
    @keras.saving.register_keras_serializable(package="tests")
    class Parts(QLayer):
        def declaration(self):
            return lambda t, x: t.call("second", Dense(2), t.quantized("between", t.call("first", Dense(3), x)))

    keras.utils.set_random_seed(6)
    x = keras.Input((3,))
    model = keras.Model(x, Parts(name="parts")(x))
    hgq_keras.trace_minmax(model, ROWS)
    layer = model.get_layer("parts")
    assert tuple(layer.first_kernel.shape) == (3, 3)
    assert tuple(layer.second_bias.shape) == (2,)
    assert len(layer.quantizers) == 6
    graph = hgq_keras.to_graph(model)
    assert np.array_equal(run(graph, ROWS), infer(model, ROWS))
    assert ebops(graph) == pytest.approx(hgq_keras.ebops(model))
    loaded = hgq_keras.load_model(hgq_keras.save_model(model, tmp_path / "model.keras"))
    assert np.array_equal(infer(loaded, ROWS), infer(model, ROWS))
    assert hgq_keras.uncalibrated(loaded) == []


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda t, x: t.op(Add(), x, t.weight("beta", "bq", (3,))), "weight 'beta' .* attribute 'beta', which the la"),
        (lambda t, x: t.op(Add(), x, t.weight("mine", "bq", (3,))), "weight 'mine' .* which the layer has already"),
        (lambda t, x: t.quantized("call", x), "quantizer 'call' of its declaration would be its attribute 'call'"),
        (
            lambda t, x: t.quantized("a_b", t.call("a", lambda part, y: part.quantized("b", y), x)),
            "quantizer 'a_b' .* attribute 'a_b', which slot 'a/b' is",
        ),
        (lambda t, x: t.call("norm", BatchNormalization(1e-3), x), "hold a QBatchNormalization and apply it"),
    ],
)
def test_a_slot_that_cannot_be_an_attribute_is_refused(declare, message):
    class Own(QLayer):
        mine = 3

        def declaration(self):
            return declare

    with pytest.raises(ConfigError, match=f"layer 'own' .*{message}"):
        Own(name="own")(ROWS)


def test_an_error_names_the_layer_however_short_its_name():
    with pytest.raises(ShapeError, match=r"^layer 'd': received shape \(batch,\)"):
        QDense(2, name="d").build((None,))
