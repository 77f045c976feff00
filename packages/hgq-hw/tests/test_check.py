"""The pre-flight check names what a target will refuse, before anything is lowered."""

from __future__ import annotations

import numpy as np
import pytest
from hw_graphs import convolutional, dense, merged

from hgq_core.errors import ConfigError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder
from hgq_core.graph.ops import Add, Constant, Contract, Input, Multiply, Quantize, Relu
from hgq_core.modes import Overflow, Round
from hgq_hw import check


def errors(graph, target="da4ml"):
    return [issue for issue in check(graph, target) if issue.severity == "error"]


@pytest.mark.parametrize("graph", [dense(), convolutional(), merged()], ids=str)
def test_nothing_stands_in_the_way_of_a_quantized_network(graph):
    assert not errors(graph)


def test_each_unquantized_layer_is_named_once():
    builder = GraphBuilder()
    x = builder.add(Input((2,)), name="x")
    kernel = builder.add(Constant.of(np.eye(2)))
    y = builder.add(Contract("bi,io->bo"), x, kernel, label="one")
    y = builder.add(Relu(), y, label="follows")
    z = builder.add(Add(), builder.add(Relu(), x), builder.add(Constant.of([1.0])), label="two")
    issues = errors(builder.build([y, z]))
    assert [issue.label for issue in issues] == ["one", "two"]
    assert "quantizer" in issues[0].remedy
    assert str(issues[0]).startswith("error: one: Contract")


def test_an_unquantized_output_is_named():
    builder = GraphBuilder()
    graph = builder.build([builder.add(Relu(), builder.add(Input((2,))), label="last")])
    assert [issue.label for issue in errors(graph)] == ["last"]


def test_a_wrap_that_may_happen_is_information():
    (issue, *_) = check(dense())
    assert (issue.severity, issue.label) == ("info", "dense_0")
    assert "WRAP" in issue.problem


def test_too_many_bits_are_named():
    builder = GraphBuilder()
    x = builder.add(Quantize(Formats.of(1, 20, 20), Round.RND, Overflow.SAT), builder.add(Input((1,))))
    graph = builder.build([builder.add(Multiply(), x, x, label="square")])
    assert [issue.label for issue in errors(graph)] == ["square"]
    assert "48" in errors(graph)[0].problem


def test_a_constant_that_the_engine_would_round_is_named():
    builder = GraphBuilder()
    x = builder.add(Input((1,), Formats.of(1, 2, 2)))
    graph = builder.build([builder.add(Multiply(), x, builder.add(Constant.of([2.0**-40]), label="tiny"))])
    assert [issue.label for issue in errors(graph)] == ["tiny"]


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("da4", "da4ml"),
        ("hls4ml:vitus", "vitis"),
        ("hls4ml:vitis:io_strem", "io_stream"),
        ("da4ml:verilgo", "verilog"),
        ("da4ml:verilog:x", "expected"),
    ],
)
def test_an_unknown_target_is_an_error_with_a_suggestion(target, hint):
    with pytest.raises(ConfigError, match=hint):
        check(dense(), target)


def test_something_that_is_no_model_is_an_error():
    with pytest.raises(ConfigError, match="expected a Graph"):
        check(np.zeros(3))
