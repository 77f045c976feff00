"""Quantized weights at inference: computed once, and anew when a weight, a width or the mode is another one."""

import keras
import numpy as np
import pytest

from hgq_keras.layers import QDense

BACKEND = keras.backend.backend()
X = (np.arange(24, dtype="float32").reshape(4, 6) - 11) / 8


def a_layer(seed=0, activation="relu"):
    """A model of one dense layer after its first call in training, and the layer."""
    keras.utils.set_random_seed(seed)
    layer = QDense(3, activation=activation)
    model = keras.Sequential([keras.Input((6,)), layer])
    model(X, training=True)
    return model, layer


def at_inference(function, *args, **named):
    """A call without gradients, which PyTorch has to be told."""
    if BACKEND != "torch":
        return function(*args, **named)
    import torch

    with torch.no_grad():
        return function(*args, **named)


def outputs(model, x=X):
    return keras.ops.convert_to_numpy(at_inference(model, x, training=False))


def never_called(model):
    """A copy of the model, through its weights, that has kept nothing."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


@pytest.mark.skipif(BACKEND == "tensorflow", reason="nobody sees whether a tape of TensorFlow records")
def test_the_quantized_kernel_is_that_of_the_last_call():
    _, layer = a_layer()
    kernel = keras.ops.convert_to_tensor(layer.kernel)
    first, second = (at_inference(layer.kq.weight_at_hand, kernel) for _ in range(2))
    assert first is second


def changes(tmp_path):
    """Ways to change a weight or a width, by name."""
    other, _ = a_layer(seed=1)
    file = tmp_path / "other.weights.h5"
    other.save_weights(file)
    return {
        "assign": lambda model, layer: layer.kernel.assign(layer.kernel + 0.25),
        "a width": lambda model, layer: layer.kq._b.assign(layer.kq._b - 2.0),
        "a width of data": lambda model, layer: layer.iq._f.assign(layer.iq._f * 0.0),
        "bias": lambda model, layer: layer.bias.assign(layer.bias + 0.5),
        "set_weights": lambda model, layer: model.set_weights(other.get_weights()),
        "load_weights": lambda model, layer: model.load_weights(file),
    }


@pytest.mark.parametrize("name", ["assign", "a width", "a width of data", "bias", "set_weights", "load_weights"])
def test_a_change_is_seen_at_the_next_call(name, tmp_path):
    model, layer = a_layer()
    before = outputs(model)
    compiled_before = model.predict(X, verbose=0)
    np.testing.assert_array_equal(before, outputs(model))
    changes(tmp_path)[name](model, layer)
    after = outputs(model)
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, outputs(never_called(model)))
    np.testing.assert_array_equal(compiled_before, before)
    np.testing.assert_array_equal(model.predict(X, verbose=0), after)


@pytest.mark.skipif(BACKEND != "torch", reason="only PyTorch's tensors can be written to")
def test_what_is_written_through_data_is_seen():
    model, layer = a_layer()
    before = outputs(model)
    layer.kernel.value.data += 0.25
    assert not np.array_equal(before, outputs(model))
    np.testing.assert_array_equal(outputs(model), outputs(never_called(model)))


def test_training_after_inference_has_the_gradients_of_a_model_that_never_inferred():
    model, _ = a_layer()
    outputs(model)
    fresh = never_called(model)
    for each in (model, fresh):
        each.compile(keras.optimizers.SGD(0.5), "mse")
        each.fit(X, np.ones((4, 3), "float32"), epochs=2, verbose=0, shuffle=False)
    for ours, theirs in zip(model.get_weights(), fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_gradient_at_inference_reaches_the_kernel():
    """As an attribution method asks for it, after a call that could have kept the kernel."""
    model, layer = a_layer(activation=None)
    outputs(model)
    if BACKEND == "jax":
        import jax

        def total(values):
            (y, _) = model.stateless_call(values, [v.value for v in model.non_trainable_variables], X, training=False)
            return y.sum()

        values = [v.value for v in model.trainable_variables]
        gradient = jax.grad(total)(values)[[v is layer.kernel for v in model.trainable_variables].index(True)]
    elif BACKEND == "torch":
        model(X, training=False).sum().backward()
        gradient = layer.kernel.value.grad
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            y = tf.reduce_sum(model(X, training=False))
        gradient = tape.gradient(y, layer.kernel.value)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(gradient), np.repeat(X.sum(0)[:, None], 3, axis=1))


@pytest.mark.skipif(BACKEND != "jax", reason="only JAX traces with weights that are numbers")
def test_nothing_is_kept_of_a_trace_in_which_the_weights_are_constants():
    import jax

    model, _ = a_layer()
    compiled = jax.jit(lambda x: model(x, training=False))(X)
    np.testing.assert_array_equal(compiled, outputs(model))
    np.testing.assert_array_equal(jax.jit(lambda x: model(x, training=False))(X[:2]), compiled[:2])


@pytest.mark.skipif(BACKEND != "torch", reason="the mode is PyTorch's own")
def test_a_first_call_in_inference_mode_leaves_a_layer_that_trains():
    import torch

    layer = QDense(3)
    with torch.inference_mode():
        layer(X, training=False)
    assert not any(variable.value.is_inference() for variable in layer.variables)
    for training in (True, False):
        layer(X, training=training).sum().backward()


@pytest.mark.skipif(BACKEND != "torch", reason="hooks are PyTorch's own")
def test_a_hook_on_a_quantizer_is_called_at_every_step():
    _, layer = a_layer()
    seen = []
    for quantizer in (layer.iq, layer.kq, layer.bq):
        quantizer.register_forward_hook(lambda *_: seen.append(1))
    for count, training in enumerate((True, False, False), start=1):
        at_inference(layer, X, training=training)
        assert len(seen) == 3 * count


def growth(model):
    """How many tensors a call in training leaves to the garbage collector."""
    import gc

    import torch

    def tensors():
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        for _ in range(2):
            model(X, training=True)
        before = tensors()
        for _ in range(3):
            model(X, training=True)
        return (tensors() - before) / 3
    finally:
        gc.enable()


@pytest.mark.skipif(BACKEND != "torch", reason="the other frameworks hold no graph of Python objects")
def test_a_step_leaves_no_more_to_the_garbage_collector_than_that_of_a_plain_layer():
    """Result and gradient that hold each other would keep the memory of a step, until Python looks for cycles."""
    plain = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation="relu")])
    assert growth(a_layer()[0]) <= growth(plain) <= 1
