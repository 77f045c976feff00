"""What the command ``hgq`` checks before it loads anything, and how it says what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hw_graphs import dense
from typer.testing import CliRunner

from hgq_core.errors import MissingDependencyError
from hgq_core.graph import Graph, save
from hgq_hw import _arguments
from hgq_hw.cli import app


def hgq(*arguments, columns=200):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": str(columns)})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def model(tmp_path):
    return save(dense(), tmp_path / "model.hgq.npz")


@pytest.fixture
def uncalibrated(tmp_path):
    graph = dense()
    return save(Graph(graph.nodes, graph.outputs, ("dense_0", "dense_1")), tmp_path / "uncalibrated.hgq.npz")


@pytest.fixture
def nothing_is_loaded(monkeypatch):
    def never(*arguments):
        pytest.fail("a model was loaded")

    monkeypatch.setattr("hgq_hw.cli.load_model", never)
    monkeypatch.setattr("hgq_hw.cli.calibrate_model", never)


@pytest.mark.usefixtures("nothing_is_loaded")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("check", "{model}", "-t", "hls5ml"), "did you mean 'hls4ml'"),
        (("check", "no.hgq.npz"), "no graph file"),
        (("convert", "{model}", "{folder}/out", "--vectors", "no.npy"), "vectors: there is no file 'no.npy'"),
        (("convert", "{model}", "{folder}/thesis"), "--force"),
        (("convert", "{model}", "{folder}/thesis", "-t", "hls4ml"), "--force"),
        (("convert", "{model}", "{folder}/out", "--name", "always"), "'always'"),
        (("convert", "{model}", "{folder}/out", "--latency-cutoff", "0"), "at least 0.1"),
        (("convert", "{model}", "{folder}/out", "-t", "hls4ml", "--latency-cutoff", "3"), "is da4ml's"),
        (("verify", "{model}", "--level", "gates"), "emulator"),
        (("verify", "{model}", "--vectors", "{folder}/words.npy"), "expected real numbers"),
        (("verify", "{model}", "--vectors", "{folder}"), "there is no file"),
        (
            ("verify", "{model}", "--vectors", "{folder}/thesis/chapter.tex"),
            "is no NumPy file; expected *.npy or *.npz",
        ),
        (("convert", "{model}", "{folder}", "--force"), "is replaced as a whole and holds"),
        (("convert", "{model}", ".", "--force"), "holds the folder that you are in"),
        (("verify", "{model}", "--seed", "-1"), "at least 0"),
        (("report", "{model}", "report.pdf"), ".html"),
        (("report", "{model}", "{model}/x.html"), "is a file"),
        (("calibrate", "{model}", "{folder}/x.npy", "{folder}/out.keras"), "a graph cannot be calibrated"),
        (("calibrate", "no.keras", "{folder}/x.npy", "{folder}/out.keras"), "there is no file 'no.keras'"),
        (("calibrate", "{folder}/m.keras", "no.npy", "{folder}/out.keras"), "data: there is no file 'no.npy'"),
        (("calibrate", "{folder}/m.keras", "{folder}/x.npy", "{folder}/out.npz"), "ends in '.keras'"),
        (("calibrate", "{folder}/m.keras", "{folder}/x.npy", "{folder}/m.keras"), "exists"),
        (("calibrate", "{folder}/m.keras", "{folder}/x.npy", "{folder}/no/out.keras"), "folder"),
    ],
    ids=str,
)
def test_arguments_are_checked_before_a_model_is_loaded(arguments, says, model, tmp_path):
    np.save(tmp_path / "words.npy", np.array([["one", "two"]]))
    np.save(tmp_path / "x.npy", np.zeros((4, 6)))
    (tmp_path / "m.keras").write_bytes(b"")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    result = hgq(*(argument.format(model=model, folder=tmp_path) for argument in arguments))
    assert result.exit_code == 1
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_test_vectors_were_called_data_and_are_still_taken(model, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 6)))
    result = hgq("verify", model, "--level", "emulator", "--data", tmp_path / "x.npy")
    assert result.exit_code == 0
    assert "--data is called --vectors now" in result.stderr
    for command in ("convert", "verify"):
        shown = hgq(command, "--help").stdout
        assert "--data" not in shown
        assert "Test vectors" in shown
        assert "calibrate nothing" in shown


def test_all_versions_are_shown():
    lines = hgq("--version").stdout.splitlines()
    shown = dict(line.split(maxsplit=1) for line in lines)
    assert {"hgq-core", "hgq-keras", "hgq-torch", "hgq-hw", "da4ml", "hls4ml"} <= set(shown)
    assert shown["hgq-hw"] == _arguments.version("hgq-hw")


def test_a_package_that_is_missing_is_shown_as_such(monkeypatch):
    def missing(name):
        raise _arguments.PackageNotFoundError(name)

    monkeypatch.setattr(_arguments, "version", missing)
    assert "da4ml      not installed" in hgq("--version").stdout


def test_the_package_is_the_command():
    done = subprocess.run([sys.executable, "-m", "hgq_hw", "--help"], capture_output=True, text=True, check=True)
    assert "Usage: hgq " in done.stdout


def test_findings_of_one_kind_are_one_row_that_fits_a_terminal(model):
    shown = hgq("check", model, columns=80).stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.count("WRAP may") == 2
    assert " 1 " in shown
    assert "its input is real" in shown
    assert " 2 " in shown
    assert "dense_1, out" in shown


def test_findings_are_given_to_programs_as_json(uncalibrated):
    result = hgq("check", uncalibrated, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["target"] == "da4ml"
    assert [issue["severity"] for issue in found["issues"]] == ["warning", "info", "info", "info"]
    assert {"severity", "node", "label", "problem", "remedy", "topic"} == set(found["issues"][0])


def test_what_was_never_calibrated_is_said_by_every_command(uncalibrated, tmp_path):
    assert "never calibrated: dense_0" in hgq("check", uncalibrated).stdout
    for arguments in (
        ("convert", uncalibrated, tmp_path / "p"),
        ("convert", uncalibrated, tmp_path / "q", "-t", "hls4ml", "--no-compare"),
        ("verify", uncalibrated, "--level", "emulator"),
        ("report", uncalibrated, tmp_path / "report.html"),
        ("report", uncalibrated, tmp_path / "report.html", "--no-lower"),
    ):
        result = hgq(*arguments)
        assert result.exit_code == 0, result.output
        assert result.stderr.count("warning: never calibrated: dense_0, dense_1") == 1
    assert "never calibrated" in (tmp_path / "report.html").read_text()


def test_a_foreign_folder_is_replaced_by_force_for_hls4ml_too(model, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    result = hgq("convert", model, tmp_path / "thesis", "-t", "hls4ml", "--no-compare", "--force")
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "thesis" / "chapter.tex").exists()
    assert hgq("convert", model, tmp_path / "thesis").exit_code == 0, "a project of the other engine is ours too"


@pytest.fixture
def keras_is_not_loaded(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "keras", raising=False)


def installed(monkeypatch, *names):
    monkeypatch.setattr(_arguments, "find_spec", lambda name: name if name in names else None)


@pytest.mark.usefixtures("keras_is_not_loaded")
def test_a_backend_of_keras_that_is_installed_is_chosen_and_named(monkeypatch, tmp_path):
    installed(monkeypatch, "torch", "tensorflow")
    assert _arguments.choose_backend() == "KERAS_BACKEND is not set: Keras runs on tensorflow"
    assert os.environ.pop("KERAS_BACKEND") == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    assert _arguments.choose_backend() == "KERAS_BACKEND is not set: Keras runs on torch"
    assert os.environ.pop("KERAS_BACKEND") == "torch"
    installed(monkeypatch)
    with pytest.raises(MissingDependencyError, match=r"pip install 'hgq-keras\[jax\]'"):
        _arguments.choose_backend()


@pytest.mark.usefixtures("keras_is_not_loaded")
def test_the_user_s_own_choice_stays(monkeypatch):
    installed(monkeypatch, "torch")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert _arguments.choose_backend() == ""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(MissingDependencyError, match="KERAS_BACKEND is 'jax', which is not installed"):
        _arguments.choose_backend()


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("no_such_module_of_mine:make", "there is no module 'no_such_module_of_mine'"),
        ("of_mine:broken", "'of_mine' needs the module 'absent', which is not installed"),
        ("of_mine_too:broken", "'of_mine_too:broken' raised ZeroDivisionError: division by zero (of_mine_too.py:3)"),
        ("of_mine_too:absent", "'of_mine_too' has no 'absent'"),
    ],
)
def test_what_a_factory_raises_is_one_sentence(argument, says, tmp_path, monkeypatch):
    (tmp_path / "of_mine.py").write_text("import absent\n")
    (tmp_path / "of_mine_too.py").write_text("\ndef broken():\n    return 1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    result = hgq("check", argument)
    assert result.exit_code == 1
    assert f"model: {says}" in result.stderr.splitlines()[0]


def test_an_unknown_backend_of_keras_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_BACKEND", "bogus")
    (tmp_path / "m.keras").touch()
    result = hgq("check", tmp_path / "m.keras")
    assert result.exit_code == 1
    assert "KERAS_BACKEND is 'bogus'; expected one of jax, tensorflow, torch" in result.stderr


def test_a_terminal_of_ascii_gets_the_table_all_the_same(model):
    command = [sys.executable, "-m", "hgq_hw", "check", str(model)]
    done = subprocess.run(command, capture_output=True, check=False, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert b"calibrated range" in done.stdout
