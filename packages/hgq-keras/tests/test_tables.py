"""Tables: functions of one number only, and the same numbers from the table as from every way to run the model."""

import keras
import numpy as np
import pytest

from hgq_core.errors import ConfigError
from hgq_core.graph import run
from hgq_keras import QuantizerConfig, to_graph
from hgq_keras.layers import QUnaryFunctionLUT

ops = keras.ops


# --- one number -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        "softmax",
        "log_softmax",
        "sparsemax",
        "glu",
        lambda x: ops.softmax(2.0 * x),
        lambda x: x - ops.mean(x),
        lambda x: x / ops.max(ops.abs(x), axis=-1, keepdims=True),
        lambda x: ops.sum(x, axis=-1),
        ops.cumsum,
        ops.sort,
        ops.flip,
        lambda x: ops.softmax(x, axis=1),
        lambda x: "no tensor",
    ],
)
def test_a_function_that_mixes_elements_is_refused(function):
    with pytest.raises(ConfigError, match=r"layer 't': .*is not a function of one number.*expected"):
        QUnaryFunctionLUT(function, name="t")


def test_a_result_that_depends_on_the_place_is_refused_however_small_the_difference():
    def drifts(x):
        return x + ops.cast(ops.arange(ops.shape(x)[-1]), x.dtype) * 2.0**-20

    with pytest.raises(ConfigError, match="depends on the others"):
        QUnaryFunctionLUT(drifts)


@pytest.mark.parametrize(
    "function",
    ["relu", "silu", "hard_tanh", "exponential", ops.log, ops.sign, lambda x: ops.where(x > 0, x, -2.0 * x)],
)
def test_a_function_of_one_number_is_taken(function):
    assert QUnaryFunctionLUT(function).activation is not None


# --- the same numbers -------------------------------------------------------------------------------------------------

IN = QuantizerConfig("kif", "datalane", i0=3, f0=11, heterogeneous_axis=(), overflow_mode="SAT")
OUT = QuantizerConfig("kif", "table", i0=4, f0=14, overflow_mode="SAT")
# Keras compiles nothing on PyTorch unless it is asked to, and then with a compiler for C++.
COMPILED = ["auto", False] if keras.backend.backend() == "torch" else ["auto", True, False]
EVERY = (np.arange(-(2**14), 2**14) / 2**11).astype(np.float32).reshape(-1, 8)


@pytest.mark.parametrize(
    "function", ["silu", "gelu", "tanh", "softplus", lambda x: ops.square(x) * 0.3 - 0.7 * x, lambda x: ops.sin(3 * x)]
)
@pytest.mark.parametrize("jit_compile", COMPILED)
def test_a_table_equals_predict_for_every_input(function, jit_compile):
    """The framework's compilers replace functions by kernels that round in another way than the eager ones."""
    model = keras.Sequential([keras.Input((8,)), QUnaryFunctionLUT(function, iq_conf=IN, oq_conf=OUT)])
    model.compile(jit_compile=jit_compile)
    table = run(to_graph(model), EVERY)
    np.testing.assert_array_equal(table, model.predict(EVERY, verbose=0, batch_size=4096))
    np.testing.assert_array_equal(table, model.predict(EVERY, verbose=0, batch_size=1500))
    np.testing.assert_array_equal(table, ops.convert_to_numpy(model(EVERY, training=False)))


def test_a_table_is_as_close_to_the_function_as_its_output_allows():
    model = keras.Sequential([keras.Input((8,)), QUnaryFunctionLUT("silu", iq_conf=IN, oq_conf=OUT)])
    x = EVERY.astype(np.float64)
    error = np.abs(run(to_graph(model), EVERY) - x / (1 + np.exp(-x)))
    assert error.max() <= 2.0**-15 + 2.0**-20  # half a step of the output, and two steps of float32 below 8


# --- blocks -----------------------------------------------------------------------------------------------------------


def test_a_table_whose_widths_are_shared_by_blocks():
    conf = QuantizerConfig("kif", "table", i0=1, heterogeneous_axis=(1,), blocks={1: 2}, overflow_mode="SAT")
    layer = QUnaryFunctionLUT("tanh", iq_conf=IN, oq_conf=conf)
    model = keras.Sequential([keras.Input((8,)), layer])
    width = next(v for v in layer.oq.variables if v.name == "f")
    width.assign(np.array([1, 3, 5, 7], np.float32).reshape(width.shape))
    y = run(to_graph(model), EVERY)
    np.testing.assert_array_equal(y, model.predict(EVERY, verbose=0))
    for block, f in enumerate((1, 3, 5, 7)):
        part = y[:, 2 * block : 2 * block + 2] * 2**f
        np.testing.assert_array_equal(part, np.rint(part))
        assert np.any(part % 2 == 1)
