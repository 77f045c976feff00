"""Every declared layer in hardware: the models of the conformance suite, exported, on both targets.

A layer that hgq-core declares gets a case there, and so is tried here without another line.
"""

import numpy as np
import pytest

from hgq_core.conformance.built import Shelf
from hgq_core.conformance.cases_layers import NAMES, case
from hgq_core.conformance.numpy_backend import NumpyBackend
from hgq_core.graph import run
from hgq_hw import da4ml, hls4ml, vectors
from hgq_hw.hls4ml.boundary import split
from hgq_hw.hls4ml.legal import legalize

ONE_OF_EACH_KIND = {case(name).layers[0].kind: name for name in reversed(NAMES)}
MODELS = Shelf(NumpyBackend("numpy"))


def examples(name):
    """The suite's inputs, numbers beyond every range, and those at the edges of the first formats."""
    given, edges = MODELS[name].case.inputs, vectors(MODELS[name].graph, random=20)
    return [np.concatenate([x, 64 * x, y]) for x, y in zip(given, edges, strict=True)]


def as_list(values):
    return list(values) if isinstance(values, tuple) else [values]


@pytest.mark.parametrize("name", NAMES)
def test_the_logic_computes_the_layer(name):
    graph, inputs = MODELS[name].graph, examples(name)
    assert np.array_equal(da4ml.lower(graph).predict(*inputs), run(graph, *inputs))


@pytest.mark.parametrize("name", NAMES)
def test_hls4ml_takes_the_layer_and_the_rewriting_is_exact(name, tmp_path):
    graph, inputs = MODELS[name].graph, examples(name)
    hls4ml.lower(graph, tmp_path / "project")
    boundary = split(graph)
    legal = legalize(boundary.hardware).graph
    assert np.array_equal(run(legal, *as_list(run(boundary.host, *inputs))), run(graph, *inputs))


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", ONE_OF_EACH_KIND.values(), ids=ONE_OF_EACH_KIND)
def test_the_compiled_project_computes_the_layer(name, tmp_path):
    graph, inputs = MODELS[name].graph, examples(name)
    model = hls4ml.lower(graph, tmp_path / "project")
    model.compile()
    assert np.array_equal(model.predict(*inputs), run(graph, *inputs))
