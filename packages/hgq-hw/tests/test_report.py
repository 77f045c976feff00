"""The report is one self-contained page; pictures show what the graph holds."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hw_graphs import convolutional, dense

from hgq_core.cost import ebops
from hgq_core.errors import DataError, FileError
from hgq_core.graph import GraphBuilder
from hgq_core.graph.ops import Input
from hgq_core.pareto import ParetoFront
from hgq_hw import bitwidth_figure, da4ml, front_figure, report, verify
from hgq_hw._figures import bit_maps


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    graph = convolutional()
    design = da4ml.lower(graph, latency_cutoff=4)
    path = tmp_path_factory.mktemp("report") / "report.html"
    report(
        graph,
        path,
        title="Digits <7>",
        design=design,
        verification=verify(graph, design),
        front=[(1000, 0.9), (3000, 0.96)],
        highlight=(3000, 0.96),
        history={"loss": [2.0, 1.0], "val_loss": [2.1, 1.2], "ebops": [9000.0, 3000.0]},
    )
    return path.read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_outside(page):
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert "http" not in page
    assert "<script" not in page


def test_the_page_says_what_was_measured(page):
    graph = convolutional()
    assert f"{ebops(graph):,.0f}" in page
    assert "mismatches 0" in page
    assert "Digits &lt;7&gt;" in page
    for label in ("conv", "pool", "dense"):
        assert f"<td>{label}</td>" in page
    assert page.count("data:image/png;base64,") == 4


def test_a_graph_alone_is_enough(tmp_path):
    assert report(dense(), tmp_path / "report.html").exists()


def test_nothing_is_written_where_a_folder_is(tmp_path):
    with pytest.raises(FileError, match="folder"):
        report(dense(), tmp_path)


def test_heat_maps_hold_the_widths_of_every_quantized_tensor():
    maps = {(item.layer, item.kind): item.bits for item in bit_maps(convolutional())}
    assert maps["conv", "activations"].shape == (6, 6, 1)
    assert maps["conv", "weights"].shape == (3, 3, 1, 3)
    assert maps["out", "activations"].min() > 0
    kernel = next(node.op for node in convolutional() if node.name == "dense/constant")
    assert np.array_equal(maps["dense", "weights"], np.broadcast_to(kernel.bits, kernel.integers.shape))


def test_the_colour_bar_counts_whole_bits():
    figure = bitwidth_figure(convolutional())
    bar = figure.axes[-1]
    ticks = bar.get_yticks()
    assert np.array_equal(ticks, np.rint(ticks))
    assert "bits" in bar.get_ylabel()


def test_a_graph_without_quantizers_has_no_heat_map():
    builder = GraphBuilder()
    with pytest.raises(DataError, match="no quantizer"):
        bitwidth_figure(builder.build([builder.add(Input((2,)))]))


def test_a_front_is_drawn_from_pairs_and_from_a_pareto_front():
    front = ParetoFront({"ebops": -1, "accuracy": +1})
    front.add({"ebops": 900.0, "accuracy": 0.9})
    front.add({"ebops": 9900.0, "accuracy": 0.97})
    assert front_figure(front).axes[0].get_ylabel() == "accuracy"
    assert front_figure([(900, 0.9)], metric="val_accuracy").axes[0].get_ylabel() == "val accuracy"


@pytest.mark.parametrize("points", [[], [(100.0, float("nan"))]], ids=["empty", "nan"])
def test_a_front_that_cannot_be_drawn_is_refused(points):
    with pytest.raises(DataError):
        front_figure(points)
