"""The command ``hgq``: its exit status says whether all is well, its messages are one sentence."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hw_graphs import convolutional, dense
from typer.testing import CliRunner

from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, save
from hgq_core.graph.ops import Constant, Contract, Input
from hgq_hw import da4ml
from hgq_hw.cli import app


def hgq(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.hgq.npz"
    save(dense(), path)
    return path


@pytest.fixture
def unquantized(tmp_path):
    builder = GraphBuilder()
    kernel = builder.add(Constant.of(np.eye(2)))
    graph = builder.build([builder.add(Contract("bi,io->bo"), builder.add(Input((2,))), kernel, label="raw_dense")])
    path = tmp_path / "raw.hgq.npz"
    save(graph, path)
    return path


@pytest.fixture
def wrong_engine(monkeypatch):
    """da4ml with an error planted in what it lowers."""
    lower = da4ml.lower

    def wrong(graph, **options):
        design = lower(graph, **options)
        ops = [op._replace(data=op.data + 1) if op.opcode == 4 else op for op in design.comb.ops]
        return dataclasses.replace(design, comb=design.comb._replace(ops=ops), pipeline=None)

    monkeypatch.setattr(da4ml, "lower", wrong)


def test_check_passes_with_information(model):
    result = hgq("check", model)
    assert result.exit_code == 0
    assert "info" in result.stdout


def test_check_fails_on_an_unquantized_layer(unquantized):
    result = hgq("check", unquantized)
    assert result.exit_code == 1
    assert "raw_dense" in result.stdout


def test_convert_writes_a_project(model, tmp_path):
    result = hgq("convert", model, tmp_path / "firmware", "--latency-cutoff", 3, "--name", "net")
    assert result.exit_code == 0, result.output
    assert "mismatches" in result.stdout
    assert (tmp_path / "firmware" / "src" / "net.v").exists()


def test_convert_writes_nothing_for_a_model_that_the_target_cannot_take(unquantized, tmp_path):
    assert hgq("convert", unquantized, tmp_path / "firmware").exit_code == 1
    assert not (tmp_path / "firmware").exists()


@pytest.mark.usefixtures("wrong_engine")
def test_a_mismatch_fails_and_nothing_is_written(model, tmp_path):
    result = hgq("convert", model, tmp_path / "firmware")
    assert result.exit_code == 1
    assert "outputs differ" in result.stderr
    assert not (tmp_path / "firmware").exists()
    assert hgq("verify", model, "--level", "emulator").exit_code == 1
    assert hgq("report", model, tmp_path / "report.html").exit_code == 1
    assert not (tmp_path / "report.html").exists()


def test_convert_keeps_a_foreign_folder(model, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    result = hgq("convert", model, tmp_path / "thesis")
    assert result.exit_code == 1
    assert "force" in result.stderr
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]
    assert hgq("convert", model, tmp_path / "thesis", "--force").exit_code == 0


def test_verify_takes_data(model, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(20, 6)))
    result = hgq("verify", model, "--level", "emulator", "--vectors", tmp_path / "x.npy")
    assert result.exit_code == 0, result.output
    assert "mismatches (emulator)" in result.stdout


def test_verify_refuses_a_damaged_data_file(model, tmp_path):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY")
    result = hgq("verify", model, "--level", "emulator", "--vectors", tmp_path / "x.npy")
    assert result.exit_code == 1
    assert "x.npy" in result.stderr


def test_report_writes_a_page(model, tmp_path):
    assert hgq("report", model, tmp_path / "report.html").exit_code == 0
    assert "da4ml cost" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("check", "no.hgq.npz"), "no graph file"),
        (("check", "no.keras"), "no file"),
        (("check", "model.onnx"), "expected a saved graph"),
        (("check", "no_such_module:factory"), "no module"),
        (("check", "hw_graphs:no_such_factory"), "has no"),
        (("check", "{model}", "--target", "hls5ml"), "did you mean 'hls4ml'"),
        (("verify", "{model}", "--level", "gates"), "emulator"),
        (("verify", "{model}", "--target", "hls4ml", "--latency-cutoff", "3"), "da4ml"),
        (("report", "{model}", "report.pdf"), ".html"),
        (("convert", "{model}", "{folder}/out", "--name", "1st"), "identifier"),
        (("convert", "{model}", "{folder}/out", "--name", "always"), "'always'"),
        (("convert", "{model}", "{folder}/out", "--name", "Entity"), "'Entity'"),
        (("convert", "{model}", "{folder}/out", "--name", "shift_adder"), "'shift_adder'"),
        (("convert", "{model}", "{folder}/out", "-t", "hls4ml", "--no-compare", "--name", "int"), "'int'"),
        (("convert", "{model}", "{folder}/out", "--latency-cutoff", "1e-9"), "at least 0.1"),
        (("convert", "{model}", "{model}/out"), "is a file"),
        (("convert", "{model}", "{model}/out", "-t", "hls4ml", "--no-compare"), "is a file"),
        (("convert", "{model}", "/proc/out"), "choose a place that you may write to"),
        (("report", "{model}", "/proc/out.html"), "choose a place that you may write to"),
        (("report", "{model}", "{model}/out.html"), "is a file"),
        (("verify", "{model}", "--level", "emulator", "--seed", "-1"), "at least 0"),
        (("verify", "{model}", "--level", "emulator", "--vectors", "{folder}/words.npy"), "expected real numbers"),
        (("verify", "{model}", "--level", "emulator", "--vectors", "{folder}/nothing.npy"), "at least one"),
    ],
    ids=str,
)
def test_bad_input_is_one_clear_sentence(arguments, says, model, tmp_path):
    np.save(tmp_path / "words.npy", np.array([["one", "two"]]))
    np.save(tmp_path / "nothing.npy", np.zeros((0, 6)))
    result = hgq(*(argument.format(model=model, folder=tmp_path) for argument in arguments))
    assert result.exit_code == 1
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", [lambda b: b[:200], lambda b: b[:-40] + bytes(40), lambda b: b"not a graph"])
def test_a_damaged_graph_is_refused(damage, model):
    model.write_bytes(damage(model.read_bytes()))
    result = hgq("check", model)
    assert result.exit_code == 1
    assert "damaged" in result.stderr


def test_a_damaged_keras_file_is_refused(tmp_path):
    pytest.importorskip("hgq_keras")
    (tmp_path / "model.keras").write_bytes(b"no zip")
    result = hgq("check", tmp_path / "model.keras")
    assert result.exit_code == 1
    assert "damaged" in result.stderr


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("hgq_hw._models.find_spec", lambda name: None)
    (tmp_path / "model.keras").touch()
    result = hgq("check", tmp_path / "model.keras")
    assert result.exit_code == 1
    assert "pip install 'hgq-keras[jax]'" in result.stderr


def test_a_factory_may_return_a_graph(tmp_path):
    assert hgq("check", "hw_graphs:convolutional").exit_code == 0


@pytest.mark.usefixtures("simulator")
def test_verify_simulates_rtl_by_default(tmp_path):
    save(dense((3, 2)), tmp_path / "small.hgq.npz")
    result = hgq("verify", tmp_path / "small.hgq.npz")
    assert result.exit_code == 0, result.output
    assert "mismatches (rtl)" in result.stdout


def test_graphs_with_two_inputs_take_a_file_of_two_arrays(tmp_path):
    builder = GraphBuilder()
    a, b = (builder.add(Input((n,), Formats.of(1, 2, 1)), name=name) for n, name in ((2, "a"), (3, "b")))
    save(builder.build([a, b]), tmp_path / "two.hgq.npz")
    np.savez(tmp_path / "x.npz", a=np.zeros((4, 2)), b=np.ones((4, 3)))
    arguments = ("verify", tmp_path / "two.hgq.npz", "--level", "emulator", "--vectors", tmp_path / "x.npz")
    assert hgq(*arguments).exit_code == 0


def test_a_convolution_is_checked_for_hls4ml(tmp_path):
    pytest.importorskip("hls4ml")
    save(convolutional(), tmp_path / "conv.hgq.npz")
    assert hgq("check", tmp_path / "conv.hgq.npz", "--target", "hls4ml:vitis:io_parallel").exit_code == 0
