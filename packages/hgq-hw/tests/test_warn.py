"""What makes the hardware much larger than it need be is said before anything is lowered."""

from __future__ import annotations

import numpy as np
import pytest
from hw_graphs import dense

from hgq_core.errors import LargeDesignWarning, UncalibratedWarning
from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder
from hgq_core.graph.ops import Constant, Contract, Convolve, Input, Quantize
from hgq_core.modes import Overflow, Round
from hgq_hw import check, da4ml, hls4ml, report
from hgq_hw._size import sizes


def uncalibrated(names=("dense_0", "dense_1")):
    graph = dense()
    return Graph(graph.nodes, graph.outputs, tuple(names))


def convolution(size=32, filters=64, factor=1.0):
    """A convolution behind a small one, and a small layer behind both."""
    builder = GraphBuilder()
    x = builder.add(Input((size, size, 3)))
    for label, channels, count in (("small", 3, 4), ("large", 4, filters)):
        x = builder.add(Quantize(Formats.of(1, 2, 5), Round.RND, Overflow.WRAP), x, label=label)
        shape = (3, 3, channels, count)
        kernel = builder.add(Constant.of(np.ones(shape), np.full(shape, 7)), label=label)
        x = builder.add(Convolve((1, 1), ((1, 1), (1, 1)), (1, 1)), x, kernel, label=label, ebops_factor=factor)
    return builder.build([builder.add(Quantize(Formats.of(1, 6, 0), Round.TRN, Overflow.WRAP), x, label="out")])


@pytest.mark.parametrize("target", ["da4ml", "hls4ml"])
def test_check_names_the_layers_that_were_never_calibrated_and_the_remedy(target):
    (issue,) = [issue for issue in check(uncalibrated(), target) if issue.severity == "warning"]
    assert "never calibrated: dense_0, dense_1" in issue.problem
    assert "hgq calibrate" in issue.remedy
    assert not [issue for issue in check(dense(), target) if issue.severity == "warning"]


def test_a_long_list_of_layers_is_cut():
    (issue,) = [i for i in check(uncalibrated(f"dense_{n}" for n in range(50))) if i.severity == "warning"]
    assert "and 44 more" in issue.problem


def test_lowering_warns_of_what_was_never_calibrated(tmp_path):
    with pytest.warns(UncalibratedWarning, match="dense_0, dense_1"):
        da4ml.lower(uncalibrated())
    with pytest.warns(UncalibratedWarning, match="hgq calibrate"):
        hls4ml.lower(uncalibrated(), tmp_path / "p")


def test_a_report_says_it_above_everything_else(tmp_path):
    page = report(uncalibrated(), tmp_path / "report.html").read_text()
    assert page.index('role="alert"') < page.index("<h2>Summary")
    assert "never calibrated: dense_0, dense_1" in page
    assert 'role="alert"' not in report(dense(), tmp_path / "report.html").read_text()


def test_the_size_of_a_layer_counts_every_position_and_no_weight_that_is_zero():
    builder = GraphBuilder()
    x = builder.add(Input((5, 4), Formats.of(0, 3, 0)))
    kernel = builder.add(Constant.of([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [2.0, 1.0]], np.full((4, 2), 2)))
    y = builder.add(Contract("bti,io->bto"), x, kernel, label="dense", ebops_factor=0.1)
    (layer,) = sizes(builder.build([y]))
    assert (layer.label, layer.products, layer.ebops) == ("dense", 5 * 5, 5 * 8 * 3 * 2)


def test_products_of_data_with_data_are_counted():
    builder = GraphBuilder()
    a, b = (builder.add(Input(shape, Formats.of(0, 3, 0))) for shape in ((2, 4), (4, 3)))
    (layer,) = sizes(builder.build([builder.add(Contract("bij,bjk->bik"), a, b, label="attention")]))
    assert layer.products == 2 * 4 * 3


def test_check_warns_of_a_full_unroll_that_no_device_holds_and_names_the_layers():
    (issue,) = [issue for issue in check(convolution()) if issue.severity == "warning"]
    assert issue.problem.index("large") < issue.problem.index("small")
    assert "hours" in issue.problem or "minutes" in issue.problem
    assert "EBOPs" in issue.problem
    assert "hls4ml with io_stream" in issue.remedy


def test_time_shared_layers_are_unrolled_all_the_same():
    warned = [issue.problem for issue in check(convolution(factor=1 / 1024)) if issue.severity == "warning"]
    assert warned == [issue.problem for issue in check(convolution()) if issue.severity == "warning"]


def test_a_stream_is_not_unrolled():
    assert not [i for i in check(convolution(), "hls4ml:vitis:io_stream") if i.topic == "size"]
    assert [i for i in check(convolution(), "hls4ml:vitis:io_parallel") if i.topic == "size"]


def test_a_small_network_is_no_reason_to_warn():
    assert not [issue for issue in check(convolution(6, 2)) if issue.topic == "size"]


def test_lowering_warns_before_it_starts(monkeypatch, tmp_path):
    def never(*arguments):
        pytest.fail("the work began")

    monkeypatch.setattr("hgq_hw.da4ml._lower.canonical", never)
    with pytest.raises(LargeDesignWarning, match="large"):  # warnings are errors here
        da4ml.lower(convolution())
    with pytest.warns(LargeDesignWarning, match="large"):
        hls4ml.lower(convolution(10, 200), tmp_path / "p")
