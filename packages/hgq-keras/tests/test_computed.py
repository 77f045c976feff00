"""Saving and loading a model reads what is in it, and computes nothing."""

import functools

import keras
import numpy as np
import pytest

from hgq_core.errors import ConfigError
from hgq_keras import Quantizer, QuantizerConfig
from hgq_keras import _variables as variables
from hgq_keras.layers import QBatchNormalization, QConv1D, QDense, QUnaryFunctionLUT, quantized_layers

COMPUTED = {
    Quantizer: ("kif", "array_kif", "bits", "array_bits"),
    QDense: ("qkernel", "qbias", "ebops", "beta"),
    QBatchNormalization: ("qscaler_and_qoffset", "ebops", "beta"),
}


def small(dense, *sizes):
    return keras.Sequential([keras.Input((sizes[0],)), *(dense(size, activation="relu") for size in sizes[1:])])


def various():
    layers = [
        QConv1D(4, 3, activation="relu"),
        QBatchNormalization(),
        QUnaryFunctionLUT("tanh"),
        keras.layers.Flatten(),
        QDense(3, enable_oq=True, oq_conf=QuantizerConfig("kbi", "datalane", overflow_mode="SAT")),
        Quantizer("float"),
    ]
    return keras.Sequential([keras.Input((7, 5)), *layers])


@pytest.fixture
def calls(monkeypatch):
    """Names of what quantizers computed."""
    made = []
    for owner, name in ((Quantizer, "call"), (variables, "counted"), (variables, "straight_through")):
        monkeypatch.setattr(owner, name, noted(getattr(owner, name), made))
    return made


def noted(function, made):
    @functools.wraps(function)
    def call(*args, **kwargs):
        made.append(function.__name__)
        return function(*args, **kwargs)

    return call


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
def test_no_quantizer_computes_while_a_model_is_saved_and_loaded(suffix, calls, tmp_path):
    model = various()
    assert keras.ops.convert_to_numpy(model.layers[0].qkernel).shape == (3, 5, 4)
    assert model.layers[0].ebops > 0
    assert calls == ["call", *["counted"] * 3]
    calls.clear()
    if suffix == ".weights.h5":
        model.save_weights(tmp_path / f"m{suffix}")
        model.load_weights(tmp_path / f"m{suffix}")
    else:
        model.save(tmp_path / f"m{suffix}")
        keras.saving.load_model(tmp_path / f"m{suffix}", compile=False)
    assert calls == []


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX compiles what it computes")
def test_a_quantized_network_loads_with_the_compilations_of_a_plain_one(tmp_path):
    import jax

    compiled = []

    def listener(event, _seconds, **_kwargs):
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    counts = {}
    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        for dense in (keras.layers.Dense, QDense):
            path = tmp_path / f"{dense.__name__}.keras"
            small(dense, 6, 5, 4, 3).save(path)
            jax.clear_caches()
            compiled.clear()
            keras.saving.load_model(path, compile=False)
            counts[dense] = len(compiled)
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)
    assert 0 < counts[QDense] <= counts[keras.layers.Dense]


def test_what_dir_lists_names_parts_and_what_computes_is_found_through_the_class():
    for layer in (part for owner in quantized_layers(various()) for part in (owner, *owner.quantizers)):
        own = [kind for kind in type(layer).__mro__ if kind.__module__.startswith("hgq_keras")]
        properties = {name for kind in own for name, value in vars(kind).items() if isinstance(value, property)}
        for name in properties & set(dir(layer)):
            try:
                value = getattr(layer, name)
            except ConfigError:
                continue
            assert isinstance(value, bool | str | Quantizer) or all(isinstance(part, Quantizer) for part in value), name
        for kind, names in COMPUTED.items():
            if isinstance(layer, kind):
                assert not set(names) & set(dir(layer))
                assert set(names) <= set(dir(type(layer)))


def test_widths_begin_as_numbers_of_numpy(array):
    layer = QDense(2, kq_conf=QuantizerConfig("kif", "weight", f0=3.5, overflow_mode="SAT"), beta0=0.25)
    layer.build((None, 3))
    np.testing.assert_array_equal(array(layer.kq._f), np.full((3, 2), 3.5, "float32"))
    assert layer.kq._f.dtype == "float32"
    assert layer.beta == 0.25
