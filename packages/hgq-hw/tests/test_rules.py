"""No kind of node can be forgotten: for each target it has a rule."""

import pytest

from hgq_core.conformance.graphs import GRAPHS, example
from hgq_core.errors import UnsupportedError
from hgq_core.graph import ops as op
from hgq_hw.da4ml._rules import RULES as DA4ML
from hgq_hw.hls4ml.boundary import split
from hgq_hw.hls4ml.legal import RULES as HLS4ML
from hgq_hw.hls4ml.legal import legalize
from hgq_hw.hls4ml.records import LAYERS

KINDS = set(op.Operation.__args__)


@pytest.mark.parametrize("rules", [DA4ML, HLS4ML], ids=["da4ml", "hls4ml"])
def test_every_kind_has_a_rule(rules):
    unrolled = {op.Scan} if rules is HLS4ML else set()
    assert set(rules) == KINDS - unrolled
    assert all(map(callable, rules.values()))


@pytest.mark.parametrize("plain", [False, True], ids=["per element", "per tensor"])
def test_a_legal_graph_has_only_nodes_with_a_layer(plain):
    seen = set()
    for name in GRAPHS:
        graph, _ = example(name)
        try:
            seen |= {type(node.op) for node in legalize(split(graph).hardware, plain=plain).graph}
        except UnsupportedError:
            continue
    assert seen == LAYERS.keys() | {op.Constant}
