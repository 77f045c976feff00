"""Model files are complete or absent, and a bad one is named."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from hgq_core.errors import DeadLayerWarning, FileError
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


def test_a_newer_format_is_refused(model: keras.Model, tmp_path: Path) -> None:
    path = save_model(model, tmp_path / "m.keras")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = parts["config.json"].replace(b'"format": 1', b'"format": 99')
    with zipfile.ZipFile(tmp_path / "newer.keras", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(FileError, match="99"):
        load_model(tmp_path / "newer.keras")


def test_a_missing_file_and_another_suffix_are_refused(model: keras.Model, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no model file"):
        load_model(tmp_path / "absent.keras")
    with pytest.raises(FileError, match="onnx"):
        save_model(model, tmp_path / "m.onnx")
