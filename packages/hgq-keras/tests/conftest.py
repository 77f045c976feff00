"""A seed of its own for every test, and the comparison that most tests end in."""

import keras
import numpy as np
import pytest

import hgq_keras
from hgq_core.graph import run


@pytest.fixture(autouse=True)
def _repeatable():
    keras.utils.set_random_seed(1)


@pytest.fixture
def array():
    """A tensor or variable as an array."""
    return lambda tensor: np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.fixture
def infer():
    """The model's output as users get it; compiled on JAX, where every operation of its own would be compiled alone."""

    def call(model, *inputs):
        batch = inputs[0] if len(inputs) == 1 else list(inputs)
        if keras.backend.backend() == "jax":
            return np.asarray(model.predict_on_batch(batch))
        return keras.ops.convert_to_numpy(model(batch, training=False))

    return call


@pytest.fixture
def same_as_graph(infer):
    """Calibrates the model on the inputs and compares it with its graph, bit for bit; returns the graph."""

    def check(model, *inputs, calibrate=True):
        if calibrate:
            hgq_keras.trace_minmax(model, inputs[0] if len(inputs) == 1 else list(inputs))
        graph = hgq_keras.to_graph(model)
        np.testing.assert_array_equal(run(graph, *inputs), infer(model, *inputs))
        return graph

    return check
