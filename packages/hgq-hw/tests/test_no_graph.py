"""What is no graph, no design and no page is one clear sentence, at every entrance."""

from __future__ import annotations

import pytest
from hw_graphs import dense

from hgq_core.errors import ConfigError, FileError
from hgq_hw import bitwidth_figure, canonical, check, da4ml, hls4ml, report, vectors, verify

NO_GRAPHS = [None, object(), "model.keras", 3, [dense()]]


@pytest.mark.parametrize("given", NO_GRAPHS, ids=lambda given: type(given).__name__)
@pytest.mark.parametrize(
    "call",
    [
        da4ml.lower,
        lambda graph: hls4ml.lower(graph, "never"),
        lambda graph: verify(graph, da4ml.lower(dense())),
        lambda graph: report(graph, "never.html"),
        check,
        vectors,
        canonical,
        bitwidth_figure,
    ],
    ids=["da4ml", "hls4ml", "verify", "report", "check", "vectors", "canonical", "figure"],
)
def test_what_is_no_graph_is_named(call, given):
    with pytest.raises(ConfigError, match=rf"received a {type(given).__name__}, expected a Graph"):
        call(given)


def test_a_model_is_sent_to_its_exporter():
    class Model:
        pass

    Model.__module__ = "torch.nn"
    with pytest.raises(ConfigError, match=r"hgq_torch\.to_graph\(model, example\)"):
        da4ml.lower(Model())
    Model.__module__ = "keras.models"
    with pytest.raises(ConfigError, match=r"hgq_keras\.to_graph\(model\)"):
        da4ml.lower(Model())


@pytest.mark.parametrize("given", [None, object(), dense()], ids=lambda given: type(given).__name__)
def test_what_is_no_design_is_named(given):
    with pytest.raises(ConfigError, match=rf"received a {type(given).__name__} as the design"):
        verify(dense(), given)
    if given is not None:
        with pytest.raises(ConfigError, match="as the design"):
            report(dense(), "never.html", design=given)


def test_what_is_no_outcome_is_named():
    for given in (True, [3], "emulator"):
        with pytest.raises(ConfigError, match="expected what verify gave"):
            report(dense(), "never.html", verification=given)


@pytest.mark.parametrize("name", ["x.pdf", "x", None, "html"])
def test_a_report_is_an_html_page(tmp_path, name):
    with pytest.raises(ConfigError, match=r"ends in '\.html'"):
        report(dense(), name if name is None else tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_page(tmp_path):
    with pytest.raises(FileError, match="folder"):
        report(dense(), tmp_path)
