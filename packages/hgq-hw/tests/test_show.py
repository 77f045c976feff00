"""What is printed of a design is one short table, of either engine."""

from __future__ import annotations

import pytest
from hw_graphs import dense

from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder
from hgq_core.graph.ops import Input, Relu
from hgq_hw import da4ml, hls4ml


def many_ports():
    builder = GraphBuilder()
    return builder.build([builder.add(Relu(), builder.add(Input((2,), Formats.of(1, 2, 1)))) for _ in range(50)])


@pytest.fixture(params=["da4ml", "hls4ml"])
def lower(request, tmp_path):
    return da4ml.lower if request.param == "da4ml" else lambda graph: hls4ml.lower(graph, tmp_path / "project")


def rows(design):
    return [line.split(maxsplit=1) for line in str(design).splitlines()[1:]]


def test_ports_are_shown_with_shape_and_bits(lower):
    shown = rows(lower(dense()))
    (entering,) = [value for what, value in shown if what == "input"]
    (leaving,) = [value for what, value in shown if what == "output"]
    assert entering.endswith("6, k=1 i=0..3 f=0..4")
    assert leaving == "out/quantize 3, k=0..1 i=3..4 f=1..3"


def test_a_design_with_many_ports_is_no_flood(lower):
    text = str(lower(many_ports()))
    assert len(text.splitlines()) < 35
    assert text.count("... 42 more") == 2


def test_repr_is_one_short_line(lower):
    assert "\n" not in repr(lower(dense()))
    assert len(repr(lower(dense()))) < 100


def test_a_notebook_shows_the_same_rows(lower):
    design = lower(dense())
    assert design._repr_html_().count("<tr>") == len(rows(design))


def test_da4ml_s_cost_latency_and_stages_are_shown():
    design = da4ml.lower(dense(), latency_cutoff=3)
    text = str(design)
    assert f"{design.cost:,.0f}, about LUTs" in text
    assert f"{design.latency} clock cycles" in text
    assert f"{design.latency}, each up to 3 adder delays" in text
    assert f"{design.reg_bits:,} bits" in text
    assert "combinational" in str(da4ml.lower(dense()))


def test_hls4ml_s_back_end_part_and_state_are_shown(tmp_path):
    text = str(hls4ml.lower(dense(), tmp_path / "project", backend="Vivado", clock_period=4, part="xc7z020clg400-1"))
    for part in ("Vivado io_parallel", "xc7z020clg400-1, 4 ns", "not compiled", str(tmp_path / "project")):
        assert part in text
