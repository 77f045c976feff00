"""Recurrent layers: those of Keras without quantizers, states, masks, cells, and what is refused."""

import keras
import numpy as np
import pytest
from keras import ops

from hgq_core.errors import ConfigError, ShapeError, UnsupportedError
from hgq_core.graph import run
from hgq_keras import QuantizerConfig, QuantizerConfigScope, to_graph
from hgq_keras.layers import QGRU, QLSTM, QGRUCell, QLSTMCell, QSimpleRNN, QSimpleRNNCell

PAIRS = {
    "simple_rnn": (QSimpleRNN, keras.layers.SimpleRNN, {"activation": "relu"}),
    "gru": (QGRU, keras.layers.GRU, {"activation": "tanh", "recurrent_activation": "sigmoid"}),
    "gru-reset-before": (
        QGRU,
        keras.layers.GRU,
        {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": False},
    ),
    "lstm": (QLSTM, keras.layers.LSTM, {"activation": "tanh", "recurrent_activation": "sigmoid"}),
}
STEPS, FEATURES, UNITS, ROWS = 4, 3, 5, 6


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def pair(name, **options):
    """Ours without quantizers and that of Keras, with equal weights."""
    ours, plain, activations = PAIRS[name]
    with QuantizerConfigScope(default_q_type="dummy"):
        layer = ours(UNITS, **activations, **options)
    other = plain(UNITS, **activations, **options)
    layer.build((ROWS, STEPS, FEATURES))
    other.build((ROWS, STEPS, FEATURES))
    for number, weight in enumerate((layer.kernel, layer.recurrent_kernel, layer.bias)):
        weight.assign(data(*weight.shape, seed=number) / 2)
    bias = ops.convert_to_numpy(layer.bias)
    if getattr(layer, "recurrent_bias", None) is not None:
        layer.recurrent_bias.assign(data(*bias.shape, seed=9) / 2)
        bias = np.stack([bias, ops.convert_to_numpy(layer.recurrent_bias)])
    other.set_weights([ops.convert_to_numpy(layer.kernel), ops.convert_to_numpy(layer.recurrent_kernel), bias])
    return layer, other


def numbers(result):
    return [ops.convert_to_numpy(part) for part in (result if isinstance(result, list | tuple) else [result])]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True, "return_state": True, "unroll": True},
        {"go_backwards": True, "return_state": True},
    ],
    ids=["last", "sequences", "backwards"],
)
def test_without_quantizers_it_is_the_layer_of_keras(name, options):
    layer, other = pair(name, **options)
    x = data(ROWS, STEPS, FEATURES)
    states = [ops.convert_to_tensor(data(ROWS, UNITS, seed=n)) for n in range(1 + (name == "lstm"))]
    mask = np.random.default_rng(1).random((ROWS, STEPS)) < 0.6
    for given in ({}, {"initial_state": states}, {"mask": ops.convert_to_tensor(mask)}):
        ours, plain = numbers(layer(x, **given)), numbers(other(x, **given))
        assert len(ours) == len(plain)
        for a, b in zip(ours, plain, strict=True):
            assert np.allclose(a, b, atol=2e-6)


def test_a_mask_of_keras_reaches_the_layer():
    layer, other = pair("gru", return_sequences=True)
    x = data(ROWS, STEPS, FEATURES)
    x[:, 2:] = 0.0
    ours = keras.Sequential([keras.layers.Masking(), layer, keras.layers.GlobalAveragePooling1D()])
    plain = keras.Sequential([keras.layers.Masking(), other, keras.layers.GlobalAveragePooling1D()])
    assert np.allclose(*(ops.convert_to_numpy(model(x)) for model in (ours, plain)), atol=2e-6)


@pytest.mark.parametrize(
    ("layer", "cell", "states"), [(QSimpleRNN, QSimpleRNNCell, 1), (QGRU, QGRUCell, 1), (QLSTM, QLSTMCell, 2)]
)
def test_a_cell_is_one_step_of_its_layer_in_numbers_and_in_the_graph(layer, cell, states):
    x = data(ROWS, STEPS, FEATURES)
    options = {"enable_sq": True} if layer is QSimpleRNN else {}
    layer, cell = layer(UNITS, return_sequences=True, **options), cell(UNITS, **options)
    whole = ops.convert_to_numpy(layer(x))
    features, given = keras.Input((FEATURES,)), [keras.Input((UNITS,)) for _ in range(states)]
    y, following = cell(features, given)
    model = keras.Model([features, *given], [y, *following])
    cell.set_weights(layer.get_weights())
    now = [np.zeros((ROWS, UNITS), "float32")] * states
    graph = to_graph(model)
    for step in range(STEPS):
        y, *following = numbers(model([x[:, step], *now]))
        for a, b in zip((y, *following), run(graph, x[:, step], *now), strict=True):
            assert np.array_equal(a, b)
        assert np.array_equal(y, whole[:, step])
        now = following


def test_states_go_in_and_out_of_the_graph():
    sequence, first = keras.Input((STEPS, FEATURES)), keras.Input((UNITS,))
    y, last = QGRU(UNITS, return_state=True, return_sequences=True)(sequence, initial_state=first)
    model = keras.Model([sequence, first], [y, last])
    x, state = data(ROWS, STEPS, FEATURES), data(ROWS, UNITS)
    for a, b in zip(numbers(model([x, state])), run(to_graph(model), x, state), strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(model([x, state])[1], model([x, 0 * state])[1])


def test_a_stateful_layer_goes_on_until_it_is_reset():
    keras.utils.set_random_seed(0)
    layer = QGRU(UNITS, stateful=True)
    model = keras.Sequential([keras.Input(batch_shape=(ROWS, STEPS, FEATURES)), layer])
    plain = QGRU(UNITS, return_state=True)
    x = data(ROWS, STEPS, FEATURES)
    plain.build((ROWS, STEPS, FEATURES))
    held = [variable for variable in layer.variables if not variable.name.startswith("state_")]
    for variable, value in zip(plain.variables, held, strict=True):
        variable.assign(ops.convert_to_numpy(value))
    first, state = numbers(plain(x))
    assert np.array_equal(model.predict(x, batch_size=ROWS, verbose=0), first)
    second = numbers(plain(x, initial_state=ops.convert_to_tensor(state)))[0]
    assert np.array_equal(model.predict(x, batch_size=ROWS, verbose=0), second)
    assert not np.array_equal(first, second)
    layer.reset_states()
    assert np.array_equal(model.predict(x, batch_size=ROWS, verbose=0), first)
    with pytest.raises(UnsupportedError, match=r"keeps its states between calls .* initial_state"):
        to_graph(model)
    with pytest.raises(ShapeError, match=r"the size of the batch is not known"):
        keras.Sequential([keras.Input((STEPS, FEATURES)), QGRU(UNITS, stateful=True, name="kept")])


def test_dropout_is_drawn_once_for_all_steps_and_is_gone_at_inference():
    with QuantizerConfigScope(default_q_type="dummy"):
        layer = QSimpleRNN(64, activation="relu", dropout=0.5, return_sequences=True, seed=1, use_bias=False)
    x = np.ones((1, STEPS, 64), "float32")
    layer.build(x.shape)
    layer.kernel.assign(np.eye(64))
    layer.recurrent_kernel.assign(np.zeros((64, 64)))
    dropped = ops.convert_to_numpy(layer(x, training=True))[0]
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert np.array_equal(dropped, np.tile(dropped[:1], (STEPS, 1)))
    assert np.array_equal(ops.convert_to_numpy(layer(x)), x)


def test_forget_gates_begin_open():
    layer = QLSTM(2)
    layer.build((None, STEPS, FEATURES))
    assert ops.convert_to_numpy(layer.bias).tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    again = QLSTM.from_config(layer.get_config())
    again.build((None, STEPS, FEATURES))
    assert ops.convert_to_numpy(again.bias).tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: QGRU(0), ConfigError, "units: received 0, expected a positive integer"),
        (lambda: QGRU(2, dropout=1.0)(data(2, 4, 3)), ConfigError, "layer 'qgru.*dropout: received 1.0"),
        (lambda: QGRU(2, parallelization_factor=0), ConfigError, "parallelization_factor: received 0"),
        (lambda: QGRU(2)(data(2, 3)), ShapeError, r"layer 'qgru.*received rows of shape \(3,\)"),
        (lambda: QGRU(2)(keras.Input((None, 3))), ShapeError, "layer '"),
        (lambda: QGRU(2)(data(2, 4, 3), initial_state=data(2, 3)), ShapeError, "layer '.*initial_state: received"),
        (lambda: QLSTM(2)(data(2, 4, 3), initial_state=data(2, 2)), ShapeError, "layer '.*initial_state: received"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_range_decays_once_a_batch_where_first_states_are_given():
    conf = QuantizerConfig("kif", "datalane", overflow_mode="WRAP", i_decay_speed=0.25, heterogeneous_axis=(-1,))
    layer = QGRU(UNITS, sq_conf=conf)
    layer.build((ROWS, STEPS, FEATURES))
    integer = next(variable for variable in layer.sq.variables if variable.name == "i")
    sequence, state = np.zeros((ROWS, STEPS, FEATURES), "float32"), np.zeros((ROWS, UNITS), "float32")
    for given, wanted in ((None, 1.75), (ops.convert_to_tensor(state), 1.5)):
        integer.assign(np.full(integer.shape, 2.0 if given is None else 1.75))
        layer(sequence, initial_state=given, training=True)
        assert set(ops.convert_to_numpy(integer).flatten().tolist()) == {wanted}
