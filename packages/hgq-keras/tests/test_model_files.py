"""Model files are complete or absent, and a bad one is named."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from hgq_core.errors import DeadLayerWarning, FileError, HGQError
from hgq_keras import QuantizerConfig, load_model, save_model
from hgq_keras.layers import QDense


@pytest.fixture
def model() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), QDense(2, name="d")])


def test_a_saved_model_comes_back(model: keras.Model, tmp_path: Path) -> None:
    x = np.ones((2, 3), "float32")
    path = save_model(model, tmp_path / "m.keras")
    assert np.array_equal(load_model(path).predict(x, verbose=0), model.predict(x, verbose=0))
    assert [p.name for p in tmp_path.iterdir()] == ["m.keras"]


def test_loading_does_not_warn_of_initial_widths_that_the_file_replaces(tmp_path: Path) -> None:
    narrow = QDense(2, kq_conf=QuantizerConfig("kif", "weight", f0=-6), name="d")
    with pytest.warns(DeadLayerWarning):
        path = save_model(keras.Sequential([keras.Input((3,)), narrow]), tmp_path / "m.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeadLayerWarning)
        loaded = load_model(path)
    assert np.array_equal(loaded.layers[0].kq.array_kif[2], narrow.kq.array_kif[2])


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_refused(model: keras.Model, tmp_path: Path, share: float) -> None:
    content = save_model(model, tmp_path / "m.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileError, match=r"cut\.keras"):
        load_model(tmp_path / "cut.keras")


def test_a_foreign_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "foreign.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(FileError, match=r"foreign\.keras"):
        load_model(tmp_path / "foreign.keras")


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(64)])
def test_what_is_no_hdf5_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "foreign.h5").write_bytes(content)
    with pytest.raises(FileError, match=r"foreign\.h5' is damaged or holds something else"):
        load_model(tmp_path / "foreign.h5")


def test_a_file_without_a_model_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "arrays.h5", "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(FileError, match=r"arrays\.h5'.*No model config found"):
        load_model(tmp_path / "arrays.h5")


def test_an_unknown_keyword_is_no_damage(model: keras.Model, tmp_path: Path) -> None:
    options: dict[str, Any] = {"compiled": False}
    with pytest.raises(TypeError, match="compiled"):
        load_model(save_model(model, tmp_path / "m.keras"), **options)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_compiled_model_comes_back_compiled_and_trains_on_as_if_it_had_not_been_away(
    tmp_path: Path, suffix: str
) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(16, 3)).astype("float32"), rng.normal(size=(16, 2)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), QDense(4, activation="relu"), QDense(2)])
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae", keras.metrics.MeanSquaredError("other")])
    model.fit(x, y, verbose=0, shuffle=False)
    loaded = load_model(save_model(model, tmp_path / f"m{suffix}"))
    assert loaded.get_compile_config() == model.get_compile_config()
    histories = [m.fit(x, y, epochs=2, verbose=0, shuffle=False).history for m in (loaded, model)]
    assert histories[0] == histories[1]
    assert {"loss", "mae", "other"} <= histories[0].keys()
    for ours, theirs in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs))
    assert not load_model(tmp_path / f"m{suffix}", compile=False).compiled


def test_an_h5_file_of_keras_own_names_what_cannot_be_read_and_how_to_do_without(
    model: keras.Model, tmp_path: Path
) -> None:
    x = np.ones((2, 3), "float32")
    model.compile("sgd", "mse")
    model.save(tmp_path / "m.h5")
    with pytest.raises(FileError, match=r"m\.h5'.*'keras\.metrics\.mse'.*load it with compile=False"):
        load_model(tmp_path / "m.h5")
    loaded = load_model(tmp_path / "m.h5", compile=False)
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def renamed(path: Path, target: Path, old: bytes, new: bytes) -> Path:
    """A copy of a .keras file with another configuration."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old in parts["config.json"]
    parts["config.json"] = parts["config.json"].replace(old, new)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target


def test_a_checkpoint_of_hgq2_is_called_what_it_is(model: keras.Model, tmp_path: Path) -> None:
    path = renamed(save_model(model, tmp_path / "m.keras"), tmp_path / "peer.keras", b'"hgq_keras>', b'"hgq>')
    with pytest.raises(FileError) as caught:
        load_model(path)
    said = str(caught.value)
    assert said.startswith(
        f"{str(path)!r} is a checkpoint of HGQ2 (with MinMax, MonoL1, QDense, QuantizerConfig), which"
    )
    assert "cannot read yet" in said
    assert "\n" not in said


def test_an_h5_checkpoint_of_hgq2_is_called_what_it_is(model: keras.Model, tmp_path: Path) -> None:
    path = save_model(model, tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace("hgq_keras>", "hgq>")
    with pytest.raises(FileError, match=r"is a checkpoint of HGQ2 \(with .*QDense"):
        load_model(path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("b", np.nan, "quantizer 'd_(k|b)q': width 'b': received nan"),
        ("f", np.inf, "quantizer 'd_iq': width 'f': received inf"),
        ("beta", np.nan, "layer 'd': beta is nan in the file"),
        ("beta", -1.0, r"layer 'd': beta is -1\.0 in the file"),
    ],
)
def test_numbers_that_no_training_leaves_are_refused_in_every_kind_of_file(
    model: keras.Model, tmp_path: Path, suffix: str, name: str, value: float, said: str
) -> None:
    for variable in model.weights:
        if variable.name == name:
            variable.assign(np.full(variable.shape, value))
    path = save_model(model, tmp_path / f"m{suffix}")
    with pytest.raises(FileError, match=said):
        load_model(path)


def test_an_impossible_number_in_a_configuration_is_refused_by_name(model: keras.Model, tmp_path: Path) -> None:
    saved = save_model(model, tmp_path / "m.keras")
    for old, new, said in (
        (b'"beta0": 1e-05', b'"beta0": -1', "beta0: received -1"),
        (b'"i_decay_speed": 0.01', b'"i_decay_speed": NaN', "i_decay_speed: received nan"),
        (b'"f0": 6', b'"f0": 1e9', r"f0: received 1000000000\.0"),
        (b'"l1": 1e-08', b'"l1": Infinity', "l1: received inf"),
    ):
        with pytest.raises(HGQError, match=said):
            load_model(renamed(saved, tmp_path / "bad.keras", old, new))


def test_a_newer_format_is_refused(model: keras.Model, tmp_path: Path) -> None:
    newer = (b'"format": 1', b'"format": 99')
    renamed(save_model(model, tmp_path / "m.keras"), tmp_path / "newer.keras", *newer)
    with pytest.raises(FileError, match="99"):
        load_model(tmp_path / "newer.keras")


def test_a_missing_file_and_another_suffix_are_refused(model: keras.Model, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no model file"):
        load_model(tmp_path / "absent.keras")
    with pytest.raises(FileError, match="onnx"):
        save_model(model, tmp_path / "m.onnx")
