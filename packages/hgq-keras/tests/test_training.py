"""Training: a loop of one's own, `fit` compiled or not, EBOPs in the loss and before the first step."""

import keras
import numpy as np
import pytest
from keras import ops

from hgq_keras import QuantizerConfig, QuantizerConfigScope, ebops, quantized_layers, to_graph, trace_minmax
from hgq_keras.layers import QBatchNormalization, QDense

X = np.random.default_rng(11).normal(size=(64, 5)).astype(np.float32)
Y = np.maximum(X @ np.random.default_rng(13).normal(size=(5, 2)), 0).astype(np.float32)


def network(beta0=1e-4):
    return keras.Sequential(
        [
            keras.Input((5,)),
            QDense(8, activation="relu", beta0=beta0, name="first"),
            QDense(2, beta0=beta0, name="second"),
        ]
    )


def stored(model, array):
    return {v.path: array(v).copy() for layer in quantized_layers(model) for v in layer.weights}


# --- a loop of one's own: nothing but `loss + sum(model.losses)` ------------------------------------------------------


def loop_tensorflow(model, optimizer, steps, compiled):
    import tensorflow as tf

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = ops.mean((model(x, training=True) - y) ** 2)
            total = loss + sum(model.losses)
        optimizer.apply(tape.gradient(total, model.trainable_variables), model.trainable_variables)
        return loss

    run = tf.function(step, jit_compile=compiled == "xla") if compiled else step
    return [float(run(tf.constant(X), tf.constant(Y))) for _ in range(steps)]


def loop_jax(model, optimizer, steps, compiled):
    import jax

    def objective(trained, others, x, y):
        prediction, others, losses = model.stateless_call(trained, others, x, training=True, return_losses=True)
        loss = ops.mean((prediction - y) ** 2)
        return loss + sum(losses), (loss, others)

    def step(trained, others, state, x, y):
        (_, (loss, others)), gradients = jax.value_and_grad(objective, has_aux=True)(trained, others, x, y)
        trained, state = optimizer.stateless_apply(state, gradients, trained)
        return loss, trained, others, state

    run = jax.jit(step) if compiled else step
    optimizer.build(model.trainable_variables)
    groups = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    values = [[v.value for v in group] for group in groups]
    losses = []
    for _ in range(steps):
        loss, *values = run(*values, X, Y)
        losses.append(float(loss))
    for group, new in zip(groups, values, strict=True):
        for variable, value in zip(group, new, strict=True):
            variable.assign(value)
    return losses


def loop_torch(model, optimizer, steps, compiled):
    import torch

    x, y, losses = torch.tensor(X), torch.tensor(Y), []
    for _ in range(steps):
        model.zero_grad()
        loss = ops.mean((model(x, training=True) - y) ** 2)
        (loss + sum(model.losses)).backward()
        with torch.no_grad():
            optimizer.apply([v.value.grad for v in model.trainable_weights], model.trainable_weights)
        losses.append(float(loss.detach()))
    return losses


LOOPS = {"tensorflow": loop_tensorflow, "jax": loop_jax, "torch": loop_torch}
WAYS = {"tensorflow": ["graph", "xla", ""], "jax": ["jit"], "torch": [""]}[keras.backend.backend()]


@pytest.mark.parametrize("compiled", WAYS)
def test_a_custom_loop_trains_the_widths_and_lowers_ebops(compiled, array):
    model = network(beta0=1e-2)
    trace_minmax(model, X)
    before, cost = stored(model, array), ebops(model)
    losses = LOOPS[keras.backend.backend()](model, keras.optimizers.Adam(0.06), 12, compiled)
    after = stored(model, array)
    assert losses[-1] < losses[0]
    assert ebops(model) < cost
    for name in ("first_iq/f", "first_kq/b", "first_kq/i", "second_bq/b", "second/kernel"):
        path = next(path for path in before if path.endswith(name))
        assert not np.array_equal(after[path], before[path]), name


def test_the_losses_of_a_model_are_beta_times_ebops_and_the_regularisers(array):
    with QuantizerConfigScope("kif", fr=None, ir=None), QuantizerConfigScope("kbi", br=None):
        model = keras.Sequential([keras.Input((5,)), QDense(2, beta0=0.5)])
    model(X, training=True)
    counted = float(sum(array(loss) for loss in model.losses))
    assert counted == pytest.approx(0.5 * ebops(model), rel=1e-6)
    model(X, training=False)
    assert sum(float(array(loss)) for loss in model.losses) == 0.0


@pytest.mark.parametrize("jit_compile", [True, False] if keras.backend.backend() != "torch" else [False])
def test_fit_trains_compiled_or_not(jit_compile, array):
    model = network()
    before = stored(model, array)
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=jit_compile)
    history = model.fit(X, Y, batch_size=32, epochs=3, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    after = stored(model, array)
    assert all(np.isfinite(value).all() for value in after.values())
    moved = [path for path in before if not np.array_equal(before[path], after[path])]
    assert {path.rsplit("/", 1)[1] for path in moved} >= {"kernel", "bias", "b", "f", "i"}


def test_the_compiled_and_the_plain_prediction_are_one(array):
    model = network()
    trace_minmax(model, X)
    np.testing.assert_array_equal(model.predict(X, verbose=0), array(model(X, training=False)))


# JAX computes in float32 unless it is told otherwise before it starts.
WIDEST = "float32" if keras.backend.backend() == "jax" else "float64"


@pytest.mark.parametrize("q_type", ["kif", "kbi", "float"])
@pytest.mark.parametrize("noisy", [True, False])
def test_the_widest_type_trains_and_is_its_graph(noisy, q_type, array, same_as_graph):
    options = {} if q_type == "float" else {"overflow_mode": "SAT" if noisy else "WRAP", "stochastic": noisy}
    with QuantizerConfigScope(place="datalane", default_q_type=q_type, **options):
        layers = [QBatchNormalization(dtype=WIDEST), QDense(3, activation="relu", dtype=WIDEST, enable_oq=True)]
        model = keras.Sequential([keras.Input((5,), dtype=WIDEST), *layers, QDense(2, dtype=WIDEST)])
    model.compile("adam", "mse")
    before = stored(model, array)
    history = model.fit(X.astype(WIDEST), Y, batch_size=32, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    after = stored(model, array)
    assert any(not np.array_equal(after[path], before[path]) for path in before if path.endswith(("/f", "/b", "/m")))
    assert array(model(X, training=False)).dtype == WIDEST
    if q_type != "float":
        same_as_graph(model, X)


def test_a_trained_model_equals_its_graph_also_on_other_data(same_as_graph):
    model = keras.Sequential([keras.Input((5,)), QBatchNormalization(), QDense(6, activation="relu"), QDense(2)])
    model.compile(keras.optimizers.Adam(0.02), "mse")
    model.fit(X, Y, batch_size=32, epochs=2, verbose=0)
    same_as_graph(model, X)
    other = np.random.default_rng(12).normal(scale=9.0, size=X.shape).astype(np.float32)
    same_as_graph(model, other, calibrate=False)


def test_a_layer_that_is_not_trainable_keeps_weights_and_widths(array):
    model = network()
    model.get_layer("first").trainable = False
    before = stored(model, array)
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(X, Y, batch_size=32, epochs=1, verbose=0)
    changed = {path for path, value in stored(model, array).items() if not np.array_equal(value, before[path])}
    assert changed
    assert not any("first" in path for path in changed)


# --- EBOPs ------------------------------------------------------------------------------------------------------------


def test_ebops_are_right_before_the_first_step():
    """Inputs 2 + 6 bits, kernels 8, biases 8: ``sum(bits of x * bits of w) + sum(bits of b)``."""
    model = network()
    assert [layer.ebops for layer in model.layers] == [5 * 8 * 8 * 8 + 8 * 8, 8 * 2 * 8 * 8 + 2 * 8]
    assert ebops(model) == sum(layer.ebops for layer in model.layers)


def test_ebops_of_a_layer_that_is_not_built_say_so():
    with pytest.raises(ValueError, match="layer 'late' is not built"):
        _ = QDense(3, name="late").ebops


def test_a_shared_layer_and_a_nested_model_are_one_layer_that_costs_at_every_call():
    shared = QDense(5, name="shared")
    inner = keras.Sequential([keras.Input((5,)), QDense(5, name="inside")], name="inner")
    x = keras.Input((5,))
    model = keras.Model(x, inner(shared(inner(shared(x)))))
    assert [layer.name for layer in quantized_layers(model)] == ["shared", "inside"]
    assert ebops(model) == 4 * (5 * 5 * 8 * 8 + 5 * 8)


def test_beta_is_that_of_the_layer_and_zero_without_ebops():
    assert QDense(2, beta0=0.25)(X).shape == (64, 2)
    layer = QDense(2, beta0=0.25)
    layer.build((None, 5))
    silent = QDense(2, enable_iq=False)
    silent.build((None, 5))
    assert (layer.beta, silent.beta, silent.ebops, silent.enable_ebops) == (0.25, 0.0, 0.0, False)


def test_ebops_stay_exact_where_float32_would_not_count():
    """2**24 + 1 is no float32; here 4095 * 4097 * 1 * 1 + 2 products and sums of single bits."""
    one = {"b0": 1, "i0": 1}
    layer = QDense(
        4097,
        kq_conf=QuantizerConfig("kbi", "weight", heterogeneous_axis=(), **one),
        bq_conf=QuantizerConfig("kbi", "bias", b0=2, i0=1, heterogeneous_axis=()),
        iq_conf=QuantizerConfig("kif", "datalane", i0=1, f0=0, heterogeneous_axis=()),
        kernel_initializer="ones",
    )
    layer.build((None, 4095))
    assert layer.ebops == 4095 * 4097 + 2 * 4097


def test_the_number_of_the_graph_is_that_of_the_model():
    from hgq_core.cost import ebops as graph_ebops

    model = network()
    trace_minmax(model, X)
    assert graph_ebops(to_graph(model)) == ebops(model)
