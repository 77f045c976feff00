"""What is printed of a graph is one short table."""

import numpy as np
import pytest

from hgq_core.conformance.graphs import GRAPHS, example
from hgq_core.formats import Formats
from hgq_core.graph import Graph, GraphBuilder
from hgq_core.graph import ops as op


def network(layers=1, name="dense"):
    builder = GraphBuilder()
    x = builder.add(op.Input((4,)), name="x")
    for number in range(layers):
        label = f"{name}_{number}"
        x = builder.add(op.Quantize(Formats.of(1, [1, 2, 3, 2], 5), "RND", "WRAP"), x, label=label)
        kernel = builder.add(op.Constant.of(np.eye(4)), label=label)
        x = builder.add(op.Relu(), builder.add(op.Contract("bi,io->bo"), x, kernel, label=label), label=label)
    return builder.build([x])


def test_a_graph_prints_as_one_row_for_each_node():
    assert str(network()).splitlines() == [
        "Graph of 5 node(s): x 4 -> dense_0/relu 4",
        "node              kind      shape  bits                     label",
        "x                 Input     4      real",
        "dense_0/quantize  Quantize  4      k=1 i=1..3 f=5 RND WRAP  dense_0",
        "dense_0/constant  Constant  4×4    75% zeros                dense_0",
        "dense_0/contract  Contract  4                               dense_0",
        "dense_0/relu      Relu      4                               dense_0",
    ]


@pytest.mark.parametrize("name", GRAPHS)
def test_every_kind_of_node_has_its_row(name):
    graph, _ = example(name)
    rows = str(graph).splitlines()
    for node, row in zip(graph, rows[2:], strict=True):
        assert type(node.op).__name__ in row


def test_a_long_graph_shows_its_ends_and_says_how_much_is_left_out():
    text = str(network(200))
    assert len(text.splitlines()) < 50
    assert "... 761 more" in text
    assert "dense_0/quantize" in text
    assert "dense_199/relu" in text


def test_a_long_name_is_cut_in_the_middle():
    lines = str(network(1, "encoder/" * 40)).splitlines()
    assert max(map(len, lines)) < 140


def test_layers_that_were_never_calibrated_are_named():
    graph = network(8)
    assert "never calibrated" not in str(graph)
    marked = Graph(graph.nodes, graph.outputs, tuple(f"dense_{n}" for n in range(8)))
    assert "never calibrated: dense_0, dense_1, dense_2, dense_3, dense_4 and 3 more" in str(marked)
    assert "never calibrated" in marked._repr_html_()


def test_repr_is_one_line():
    assert repr(network(200)) == "<Graph of 801 node(s): x 4 -> dense_199/relu 4>"


def test_a_notebook_shows_the_same_table():
    html = network(1, "a<b")._repr_html_()
    assert html.count("<tr>") == 6
    assert "a&lt;b_0" in html
    assert "k=1 i=1..3 f=5 RND WRAP" in html
