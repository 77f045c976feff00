"""A softmax of two tables in hardware: graph == da4ml's logic == hls4ml's compiled project == simulated Verilog."""

import numpy as np
import pytest
from hw_graphs import softmax

from hgq_core.graph import run
from hgq_hw import da4ml, hls4ml, vectors, verify

GRAPHS = {
    "five classes": softmax(),
    "last axis of a matrix": softmax((3, 5)),
    "first axis of a matrix": softmax((3, 5), axis=0),
    "without a maximum": softmax((3, 4), stable=False, seed=1),
    "widths and tables of each element": softmax((3, 4), heterogeneous=True, seed=2),
}
COMPILED = {name: pytest.param(graph, marks=pytest.mark.slow) for name, graph in GRAPHS.items()}
COMPILED["five classes"] = GRAPHS["five classes"]


def examples(graph):
    """Ordinary inputs, numbers beyond every range, ties and equal elements."""
    shape = graph.inputs[0].shape
    rng = np.random.default_rng(5)
    x = rng.normal(0, 1.5, (300, *shape))
    return np.concatenate([x, 40 * x[:50], np.rint(x * 16) / 16, np.zeros((1, *shape)), np.full((1, *shape), -2.0)])


def test_the_graph_is_a_softmax():
    graph = softmax((3, 5))
    y = run(graph, examples(graph))
    assert np.abs(y.sum(-1) - 1).max() < 0.2
    assert len(np.unique(y)) > 20
    assert {node.composite for node in graph if node.label == "softmax"} == {"softmax"}


@pytest.mark.parametrize("latency_cutoff", [None, 4], ids=["combinational", "pipelined"])
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_the_logic_computes_softmax(graph, latency_cutoff):
    design = da4ml.lower(graph, latency_cutoff=latency_cutoff)
    assert verify(graph, design, (examples(graph),)).mismatches == 0
    assert verify(graph, design, vectors(graph, random=60)).mismatches == 0


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("graph", COMPILED.values(), ids=COMPILED)
def test_the_compiled_project_computes_softmax(graph, tmp_path):
    model = hls4ml.lower(graph, tmp_path / "project")
    model.compile()
    x = examples(graph)
    assert np.count_nonzero(model.predict(x) != run(graph, x)) == 0


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize(
    "latency_cutoff", [None, pytest.param(4, marks=pytest.mark.slow)], ids=["combinational", "pipelined"]
)
def test_the_simulated_verilog_computes_softmax(latency_cutoff):
    graph = softmax()
    design = da4ml.lower(graph, latency_cutoff=latency_cutoff)
    assert verify(graph, design, (examples(graph),), level="rtl").mismatches == 0
