"""Models written and read back: every option survives in every format, and what cannot be read is refused."""

import json
import zipfile

import keras
import numpy as np
import pytest

from hgq_core.errors import FileError
from hgq_core.graph import run
from hgq_keras import LayerConfigScope, Quantizer, QuantizerConfig, QuantizerConfigScope, ebops, to_graph, trace_minmax
from hgq_keras.constraints import Constant, MinMax
from hgq_keras.layers import (
    QAdd,
    QAveragePooling2D,
    QBatchNormalization,
    QConv1D,
    QConv2D,
    QDense,
    QEinsumDense,
    QMaxPooling2D,
    QUnaryFunctionLUT,
)
from hgq_keras.regularizers import MonoL1

X = np.random.default_rng(7).normal(size=(5, 6, 6, 2)).astype(np.float32)
DATA = QuantizerConfig(
    "kif",
    "datalane",
    i0=3,
    f0=4,
    ic=None,
    fc=MinMax(-2, 9),
    ir=None,
    fr=MonoL1(1e-4),
    i_decay_speed=0.5,
    heterogeneous_axis=(-1,),
    scaler=0.5,
    affine=(2.0, 0.25),
    qnoise_factor=0.5,
)
WEIGHT = QuantizerConfig("kbi", "weight", b0=6, bc=Constant(6), br=None, round_mode="RND_CONV", overflow_mode="SAT")
BIAS = QuantizerConfig("kif", "bias", f0=5, overflow_mode="SAT_SYM", round_mode="TRN", trainable=False)
BLOCKS = QuantizerConfig("kif", "datalane", f0=3, blocks={1: 2}, overflow_mode="SAT", stochastic=True)


def every_layer():
    """A model of every layer, each with options that are not the defaults."""
    x = keras.Input((6, 6, 2), name="image")
    with LayerConfigScope(beta0=3e-4), QuantizerConfigScope(place="datalane", f0=4):
        y = QConv2D(
            4, 3, strides=(1, 2), padding="same", groups=2, activation="relu", kernel_initializer="he_normal",
            kernel_regularizer=keras.regularizers.L2(1e-3), bias_constraint="non_neg", iq_conf=DATA, kq_conf=WEIGHT,
            bq_conf=BIAS, enable_oq=True, oq_conf=BLOCKS, parallelization_factor=3, ebops_factor=0.5, name="conv",
        )(x)  # fmt: skip
        y = QMaxPooling2D((2, 1), strides=(1, 1), padding="same", name="max")(y)
        y = QAveragePooling2D((3, 1), enable_ebops=False, name="average")(y)
        y = QBatchNormalization(
            momentum=0.5, epsilon=0.25, center=False, kq_conf=WEIGHT, gamma_initializer="ones", name="norm"
        )(y)
        y = keras.layers.Reshape((6, 4), name="rows")(y)
        a = QConv1D(3, 2, padding="causal", dilation_rate=2, use_bias=False, kq_conf=WEIGHT, name="series")(y)
        b = QEinsumDense("abc,cd->abd", (None, 3), bias_axes="d", kq_conf=WEIGHT, bq_conf=BIAS, name="einsum")(y)
        y = QAdd(iq_confs=[QuantizerConfig(f0=2), QuantizerConfig(f0=3)], name="sum")([a, b])
        y = QUnaryFunctionLUT("tanh", allow_heterogeneous_input=False, override_oq_k0_to_0=True, name="table")(y)
        y = Quantizer("kif", "datalane", f0=2, name="alone")(keras.layers.Flatten(name="flat")(y))
        return keras.Model(x, QDense(3, beta0=0.5, enable_oq=True, name="dense")(y), name="all")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    made = every_layer()
    trace_minmax(made, X)
    return made


def saved(model, path):
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
        loaded = every_layer()
        loaded.load_weights(path)
        return loaded
    model.save(path)
    return keras.saving.load_model(path)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_every_option_width_and_number_survives(name, model, tmp_path, infer):
    loaded = saved(model, tmp_path / name)
    for before, after in zip(model.layers, loaded.layers, strict=True):
        if not isinstance(before, keras.layers.InputLayer):
            assert json.dumps(after.get_config(), default=str) == json.dumps(before.get_config(), default=str)
        for old, new in zip(before.weights, after.weights, strict=True):
            assert old.path.split("/")[1:] == new.path.split("/")[1:]
            assert (new.trainable, new.dtype) == (old.trainable, old.dtype)
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(new), keras.ops.convert_to_numpy(old))
    np.testing.assert_array_equal(infer(loaded, X), infer(model, X))
    assert ebops(loaded) == ebops(model) > 0
    np.testing.assert_array_equal(run(to_graph(loaded), X), infer(model, X))


def test_what_was_written_does_not_depend_on_the_scope_of_the_reader(model, tmp_path, infer):
    model.save(tmp_path / "m.keras")
    with (
        QuantizerConfigScope(b0=2, i0=1, round_mode="TRN", overflow_mode="SAT_SYM", default_q_type="dummy"),
        LayerConfigScope(beta0=9.0, enable_ebops=False, enable_iq=False, enable_oq=True),
    ):
        loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(infer(loaded, X), infer(model, X))
    assert ebops(loaded) == ebops(model)
    assert [layer.beta for layer in loaded.layers if hasattr(layer, "beta0")] == [
        layer.beta for layer in model.layers if hasattr(layer, "beta0")
    ]


def test_a_clone_is_independent(model):
    clone = keras.models.clone_model(model)
    assert {v.path for v in clone.weights} == {v.path for v in model.weights}
    clone.get_layer("dense").kernel.assign(np.zeros((18, 3)))
    assert keras.ops.convert_to_numpy(model.get_layer("dense").kernel).any()


def test_a_nested_model_survives(tmp_path, infer):
    inner = keras.Sequential([keras.Input((4,)), QDense(3, activation="relu")], name="inner")
    outer = keras.Sequential([keras.Input((4,)), inner, QDense(2)])
    x = X[:, 0, 0, :].repeat(2, axis=1)
    trace_minmax(outer, x)
    outer.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(infer(loaded, x), infer(outer, x))
    assert ebops(loaded) == ebops(outer)


def test_an_initialiser_of_widths_survives(tmp_path):
    conf = QuantizerConfig("kbi", "weight", b0=keras.initializers.RandomUniform(3, 7, seed=1), i_decay_speed=np.inf)
    layer = QDense(2, kq_conf=conf)
    again = QDense.from_config(layer.get_config())
    assert again.kq.config["b0"].get_config() == conf["b0"].get_config()
    assert again.kq.spec.i_decay_speed == np.inf


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    model = keras.Sequential([keras.Input((4,)), QDense(2, name="mine")])
    model.save(tmp_path / "m.keras")
    return tmp_path / "m.keras"


def rewritten(path, change):
    """The file with another configuration inside."""
    with zipfile.ZipFile(path) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    parts["config.json"] = change(parts["config.json"].decode()).encode()
    with zipfile.ZipFile(path, "w") as target:
        for name, part in parts.items():
            target.writestr(name, part)


@pytest.mark.parametrize("kind", ["QDense", "QuantizerConfig", "Quantizer"])
def test_a_newer_file_is_refused_with_the_remedy(kind, small):
    if kind == "Quantizer":
        small.unlink()
        x = keras.Input((4,))
        keras.Model(x, Quantizer("kif", "datalane")(x)).save(small)

    def newer(text):
        config = json.loads(text)
        for part in walk(config):
            if part.get("class_name") == kind:
                part["config"]["format"] = 99
        return json.dumps(config)

    rewritten(small, newer)
    with pytest.raises(FileError, match=rf"{kind} has format 99.*upgrade hgq-keras"):
        keras.saving.load_model(small)


def walk(part):
    if isinstance(part, dict):
        yield part
        for item in part.values():
            yield from walk(item)
    elif isinstance(part, list):
        for item in part:
            yield from walk(item)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(keep, small):
    whole = small.read_bytes()
    small.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises((ValueError, zipfile.BadZipFile)):
        keras.saving.load_model(small)


def test_foreign_files_are_refused(tmp_path, small):
    (tmp_path / "text.keras").write_text("not a model")
    with pytest.raises((ValueError, zipfile.BadZipFile)):
        keras.saving.load_model(tmp_path / "text.keras")
    rewritten(small, lambda text: text.replace("hgq_keras>QDense", "other>QDense").replace('"QDense"', '"Other"'))
    with pytest.raises(TypeError, match="Other"):
        keras.saving.load_model(small)


def test_weights_of_another_model_are_refused(tmp_path, small):
    model = keras.saving.load_model(small)
    model.save_weights(tmp_path / "m.weights.h5")
    other = keras.Sequential([keras.Input((4,)), QDense(3)])
    with pytest.raises(ValueError, match="shape"):
        other.load_weights(tmp_path / "m.weights.h5")
