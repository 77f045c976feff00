"""What users of da4ml and hls4ml type by themselves takes models of hgq-keras, and leaves other models alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hls4ml
import keras
import numpy as np
import pytest
from da4ml.converter import trace_model
from da4ml.trace import HWConfig, comb_trace
from hls4ml.model.layers import layer_map

import hgq_keras
from hgq_core.errors import UnsupportedError
from hgq_hw.hls4ml import plugin
from hgq_keras import Quantizer, QuantizerConfig
from hgq_keras import layers as quantized
from hgq_keras.layers import QAdd, QConv2D, QDense, QUnaryFunctionLUT

if TYPE_CHECKING:
    from collections.abc import Callable

HARDWARE = Path(__file__).parents[1] / "packages" / "hgq-hw"
X = np.random.default_rng(3).normal(size=(60, 4)).astype("float32")
IMAGES = np.random.default_rng(4).normal(size=(30, 6, 6, 1)).astype("float32")
HW = HWConfig(1, -1, -1)


def write_metadata(folder: Path) -> None:
    """The entry points of the sources, for an environment where an older hgq-hw, or none, is installed."""
    project = tomllib.loads((HARDWARE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    place = folder / f"hgq_hw-{project['version']}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: hgq-hw\nVersion: {project['version']}\n")
    groups = {group: project["entry-points"][group] for group in project["entry-points"]}
    lines = [f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in entries.items()) for group, entries in groups.items()]
    (place / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture(autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("metadata")
    write_metadata(folder)
    monkeypatch.syspath_prepend(folder)
    if plugin.PLACE not in layer_map:  # hls4ml looks for plugins when it is imported first
        plugin.register()


def dense() -> keras.Model:
    i = keras.Input((4,))
    return keras.Model(i, QDense(2)(QDense(3, activation="relu")(i)))


def sequential() -> keras.Model:
    conv = QConv2D(3, 3, activation="relu")
    return keras.Sequential(
        [keras.Input((6, 6, 1)), conv, keras.layers.MaxPooling2D(2), keras.layers.Flatten(), QDense(2)]
    )


def nested_and_merged() -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), QDense(4, activation="relu")], name="inner")
    i = keras.Input((4,))
    return keras.Model(i, QDense(3)(QAdd()([inner(i), QDense(4)(i)])))


def tables() -> keras.Model:
    i = keras.Input((4,))
    return keras.Model(i, QDense(2)(QUnaryFunctionLUT("tanh")(QDense(3)(i))))


def saturating(rounding: str) -> Callable[[], keras.Model]:
    def make() -> keras.Model:
        i = keras.Input((4,))
        options: dict[str, Any] = {"overflow_mode": "SAT", "round_mode": rounding, "i0": 1, "f0": 3}
        return keras.Model(i, QDense(2, iq_conf=QuantizerConfig("kif", "datalane", **options))(keras.layers.ReLU()(i)))

    return make


MODELS: dict[str, tuple[Callable[[], keras.Model], np.ndarray]] = {
    "dense": (dense, X),
    "convolution": (sequential, IMAGES),
    "nested and merged": (nested_and_merged, X),
    "tables": (tables, X),
}


@pytest.fixture
def calibrated(request: pytest.FixtureRequest) -> tuple[keras.Model, np.ndarray]:
    keras.utils.set_random_seed(1)
    make, data = request.param
    model = make()
    hgq_keras.trace_minmax(model, data)
    return model, data


def beyond(data: np.ndarray) -> np.ndarray:
    """Also numbers outside of the range that calibration saw, and exact halves of a step."""
    return np.concatenate([data, 50 * data, np.rint(data * 64) / 64])


@pytest.mark.parametrize("calibrated", MODELS.values(), ids=MODELS, indirect=True)
def test_da4ml_traces_a_model(calibrated: tuple[keras.Model, np.ndarray]) -> None:
    model, data = calibrated
    logic = comb_trace(*trace_model(model, HW, {"hard_dc": 2}))
    wanted = model.predict(beyond(data), verbose=0)
    np.testing.assert_array_equal(logic.predict(beyond(data)).reshape(wanted.shape), wanted)


def test_da4ml_takes_the_formats_that_the_user_gives_and_shows_every_tensor() -> None:
    model = dense()
    hgq_keras.trace_minmax(model, X)
    data = np.rint(X * 2**7) / 2**7
    logic = comb_trace(*trace_model(model, HW, inputs_kif=(1, 4, 7)))
    np.testing.assert_array_equal(logic.predict(data), model.predict(data, verbose=0))
    tensors = trace_model(model, HW, dump=True)
    outputs = trace_model(model, HW)[1]
    assert len(tensors) > 4
    assert sum(np.array_equal(x.kif, outputs.kif) for x in tensors.values() if x.shape == outputs.shape) == 1


def test_da4ml_says_which_numbers_it_must_know_before_a_saturating_input() -> None:
    model = saturating("RND")()
    with pytest.raises(UnsupportedError, match=r"first quantizer saturates.*inputs_kif=\(1, integer bits"):
        trace_model(model, HW)
    data = np.clip(np.rint(X * 2**7) / 2**7, -8, 7)
    logic = comb_trace(*trace_model(model, HW, inputs_kif=(1, 3, 7)))
    np.testing.assert_array_equal(logic.predict(data), model.predict(data, verbose=0))


def test_da4ml_does_not_take_other_models_from_us() -> None:
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="no layer of hgq-keras, and no other plugin"):
        trace_model(plain, HW)


HLS: dict[str, tuple[Callable[[], keras.Model], np.ndarray]] = MODELS | {
    "saturating": (saturating("RND"), X),
    "ties to even": (saturating("RND_CONV"), X),
}


@pytest.mark.parametrize("calibrated", HLS.values(), ids=HLS, indirect=True)
def test_hls4ml_converts_a_model(calibrated: tuple[keras.Model, np.ndarray], tmp_path: Path) -> None:
    model, data = calibrated
    chosen = hls4ml.utils.config_from_keras_model(model, granularity="name")
    project = hls4ml.converters.convert_from_keras_model(
        model, output_dir=str(tmp_path / "p"), backend="Vitis", io_type="io_parallel", hls_config=chosen
    )
    project.compile()
    wanted = model.predict(beyond(data), verbose=0)
    np.testing.assert_array_equal(np.reshape(project.predict(beyond(data)), wanted.shape), wanted)


def test_hls4ml_converts_other_models_as_before(tmp_path: Path) -> None:
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(2)])
    given = {"Model": {"Precision": "fixed<24,8>", "ReuseFactor": 1}}
    project = hls4ml.converters.convert_from_keras_model(
        plain, output_dir=str(tmp_path / "p"), backend="Vitis", hls_config=given
    )
    kinds = [layer.class_name for layer in project.get_layers()]
    assert kinds == ["Input", "Dense", "Activation", "Dense"]
    precision = project.get_output_variables()[0].type.precision
    assert (precision.width, precision.integer) == (24, 8)


def test_hls4ml_refuses_a_layer_by_itself_that_has_a_place_only(tmp_path: Path) -> None:
    cropped = keras.Sequential([keras.Input((6, 2)), keras.layers.Cropping1D(1, name="cut")])
    with pytest.raises(UnsupportedError, match=r"layer 'cut' \(Cropping1D\) has no handler in hls4ml"):
        hls4ml.converters.convert_from_keras_model(cropped, output_dir=str(tmp_path / "p"), backend="Vitis")


def test_hls4ml_refuses_a_back_end_that_is_not_exact(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="is not exact for models of hgq-keras; expected one of"):
        hls4ml.converters.convert_from_keras_model(dense(), output_dir=str(tmp_path / "p"), backend="oneAPI")


def test_a_place_is_known_for_every_layer_of_hgq_keras() -> None:
    named = {f"{module}.{name}" for module, names in plugin.LAYERS.items() for name in names}
    exported = [getattr(quantized, name) for name in quantized.__all__]
    kinds = [k for k in exported if isinstance(k, type) and issubclass(k, keras.Layer) and k.__name__ != "QLayer"]
    assert {f"{kind.__module__}.{kind.__name__}" for kind in (*kinds, Quantizer)} == named


AS_TYPED = """
import sys, keras, numpy, hls4ml, hgq_keras
from da4ml.converter import trace_model
from da4ml.trace import HWConfig, comb_trace
from hgq.layers import QDense
i = keras.Input((4,))
model = keras.Model(i, QDense(2)(QDense(3, activation="relu")(i)))
x = numpy.random.default_rng(0).normal(size=(50, 4)).astype("float32")
hgq_keras.trace_minmax(model, x)
wanted = model.predict(x, verbose=0)
assert numpy.array_equal(comb_trace(*trace_model(model, HWConfig(1, -1, -1), {"hard_dc": 2})).predict(x), wanted)
project = hls4ml.converters.convert_from_keras_model(model, output_dir=sys.argv[1], backend="Vitis")
project.compile()
assert numpy.array_equal(project.predict(x).reshape(-1, 2), wanted)
"""


def test_the_entry_points_alone_are_enough(tmp_path: Path) -> None:
    write_metadata(tmp_path)
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    subprocess.run(
        [sys.executable, "-c", AS_TYPED, str(tmp_path / "project")], check=True, env=os.environ | {"PYTHONPATH": paths}
    )
