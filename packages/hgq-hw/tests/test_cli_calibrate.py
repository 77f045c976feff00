"""``hgq calibrate``: a model file and data in, a calibrated model file out."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from hgq_hw.cli import app

keras = pytest.importorskip("keras")
hgq_keras = pytest.importorskip("hgq_keras")


def hgq(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def data(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(0, 5, (50, 4)).astype("float32"))
    return tmp_path / "x.npy"


@pytest.fixture
def model(tmp_path):
    layers = [keras.Input((4,)), hgq_keras.layers.QDense(3, name="first"), hgq_keras.layers.QDense(2, name="second")]
    path = tmp_path / "model.keras"
    hgq_keras.save_model(keras.Sequential(layers), path)
    return path


def ranges(model):
    return [np.array(v) for layer in model.layers for q in layer.quantizers for v in q.variables]


def test_the_file_holds_what_trace_minmax_gives(model, data, tmp_path):
    before = model.read_bytes()
    result = hgq("calibrate", model, data, tmp_path / "calibrated.keras")
    assert result.exit_code == 0, result.output
    expected = hgq_keras.load_model(model)
    cost = hgq_keras.trace_minmax(expected, np.load(data))
    assert f"{cost:,.0f} EBOPs" in result.stdout
    written = hgq_keras.load_model(tmp_path / "calibrated.keras")
    for have, want in zip(ranges(written), ranges(expected), strict=True):
        np.testing.assert_array_equal(have, want)
    assert model.read_bytes() == before


def test_a_file_is_replaced_by_force_only_its_own_included(model, data):
    before = model.read_bytes()
    assert hgq("calibrate", model, data, model).exit_code == 1
    assert model.read_bytes() == before
    assert hgq("calibrate", model, data, model, "--force").exit_code == 0
    assert model.read_bytes() != before


def test_data_that_do_not_fit_the_model_are_one_sentence_and_nothing_is_written(model, tmp_path):
    np.save(tmp_path / "x.npy", np.full((3, 4), np.nan))
    result = hgq("calibrate", model, tmp_path / "x.npy", tmp_path / "calibrated.keras")
    assert result.exit_code == 1
    assert "NaN" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "calibrated.keras").exists()


def test_several_inputs_are_arrays_of_one_file(tmp_path):
    inputs = [keras.Input((2,)), keras.Input((3,))]
    branches = [hgq_keras.layers.QDense(2)(x) for x in inputs]
    hgq_keras.save_model(keras.Model(inputs, branches), tmp_path / "two.keras")
    np.savez(tmp_path / "x.npz", a=np.ones((5, 2), "float32"), b=np.ones((5, 3), "float32"))
    assert hgq("calibrate", tmp_path / "two.keras", tmp_path / "x.npz", tmp_path / "out.keras").exit_code == 0


def test_a_graph_is_sent_back_to_its_model(tmp_path, data):
    result = hgq("calibrate", "hw_graphs:dense", data, tmp_path / "out.keras")
    assert result.exit_code == 1
    assert "a graph cannot be calibrated: its formats are fixed" in result.stderr


TORCH = """
import torch
from hgq_torch import nn
def factory():
    torch.manual_seed(0)
    return torch.nn.Sequential(nn.QLinear(4, 3), nn.QLinear(3, 2))
def with_example():
    return factory(), torch.zeros(1, 4)
"""


@pytest.mark.parametrize("factory", ["factory", "with_example"])
def test_a_pytorch_model_gives_its_state(tmp_path, data, factory):
    pytest.importorskip("torch")
    pytest.importorskip("hgq_torch")
    (tmp_path / "network.py").write_text(TORCH)
    script = (
        "import numpy as np, torch, network, hgq_torch\n"
        "state = torch.load('out.pt', weights_only=True)\n"
        "expected = network.factory()\n"
        "hgq_torch.calibrate(expected, torch.as_tensor(np.load('x.npy')))\n"
        "assert all(torch.equal(state[name], value) for name, value in expected.state_dict().items())\n"
    )
    command = [sys.executable, "-m", "hgq_hw", "calibrate", f"network:{factory}", "x.npy"]

    def called(*command):
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = called(*command, "out.pt")
    assert done.returncode == 0, done.stderr
    assert called(sys.executable, "-c", script).returncode == 0
    done = called(*command, "out.keras")
    assert done.returncode == 1
    assert "ends in '.pt'" in done.stderr


def test_a_keras_file_needs_no_word_about_the_backend(model, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment["KERAS_HOME"] = str(tmp_path)
    command = [sys.executable, "-m", "hgq_hw", "check", str(model)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "KERAS_BACKEND is not set: Keras runs on" in done.stderr


def test_data_of_another_shape_are_one_sentence(model, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((50, 3)))
    result = hgq("calibrate", model, tmp_path / "x.npy", tmp_path / "calibrated.keras")
    assert result.exit_code == 1
    assert "received shape (50, 3), expected (n, 4)" in result.stderr.splitlines()[0]
