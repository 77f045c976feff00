"""No kind of node can be forgotten: for each target it has a rule, or a refusal with its reason and remedy."""

import re

import pytest

from hgq_core.conformance.graphs import GRAPHS, example
from hgq_core.errors import UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder
from hgq_core.graph import ops as op
from hgq_hw import check
from hgq_hw._refusal import Refusal
from hgq_hw.da4ml._rules import RULES as DA4ML
from hgq_hw.hls4ml import lower
from hgq_hw.hls4ml.boundary import split
from hgq_hw.hls4ml.legal import RULES as HLS4ML
from hgq_hw.hls4ml.legal import legalize
from hgq_hw.hls4ml.records import LAYERS

KINDS = set(op.Operation.__args__)
REFUSED = {kind: rule for kind, rule in HLS4ML.items() if isinstance(rule, Refusal)}


@pytest.mark.parametrize("rules", [DA4ML, HLS4ML], ids=["da4ml", "hls4ml"])
def test_every_kind_has_a_rule_or_a_refusal(rules):
    unrolled = {op.Scan} if rules is HLS4ML else set()
    assert set(rules) == KINDS - unrolled
    assert all(callable(rule) or (rule.what and rule.remedy) for rule in rules.values())


def test_da4ml_refuses_no_kind():
    assert not any(isinstance(rule, Refusal) for rule in DA4ML.values())


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


def data(builder, *shape):
    return builder.add(op.Input(shape, Formats.of(1, 2, 2).broadcast_to(shape)))


def compare(builder):
    return builder.add(op.Compare("<"), data(builder, 3), data(builder, 3), label="layer")


def select(builder):
    return builder.add(op.Select(), *(data(builder, 3) for _ in range(3)), label="layer")


REFUSED_GRAPHS = {op.Compare: compare, op.Select: select}


def refused(kind):
    builder = GraphBuilder()
    return builder.build([REFUSED_GRAPHS[kind](builder)])


def test_every_refused_kind_is_tried():
    assert REFUSED_GRAPHS.keys() == REFUSED.keys()


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_a_refusal_names_node_layer_reason_and_remedy(kind, tmp_path):
    graph, refusal = refused(kind), REFUSED[kind]
    (node,) = (node for node in graph if type(node.op) is kind)
    message = f"hls4ml: {kind.__name__} {node.name!r} of layer 'layer' {refusal.what}; {refusal.remedy}"
    with pytest.raises(UnsupportedError, match=re.escape(message)):
        lower(graph, tmp_path / "project")
    assert not (tmp_path / "project").exists()
    (issue,) = (issue for issue in check(graph, "hls4ml") if issue.severity == "error")
    assert (issue.node, issue.label, issue.remedy) == (node.name, "layer", refusal.remedy)
    assert not [issue for issue in check(graph, "da4ml") if issue.severity == "error"]
