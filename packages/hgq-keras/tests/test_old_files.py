"""Files of version 0.1 load and give what they gave: `files/*.keras`, of every kind of layer there was, calibrated."""

import json
from pathlib import Path

import numpy as np
import pytest

import hgq_keras
from hgq_core.cost import ebops
from hgq_core.graph import run

FILES = Path(__file__).parent / "files"


@pytest.mark.parametrize("name", ["image", "rows"])
def test_a_file_of_version_0_1_loads(name):
    model = hgq_keras.load_model(FILES / f"{name}.keras", compile=False)
    with np.load(FILES / "expected.npz") as expected:
        x, y, cost = (expected[f"{name}_{part}"] for part in ("x", "y", "ebops"))
    assert np.array_equal(model.predict(x, verbose=0), y)
    assert hgq_keras.ebops(model) == pytest.approx(float(cost), rel=1e-9)
    assert hgq_keras.uncalibrated(model) == []
    graph = hgq_keras.to_graph(model)
    assert np.array_equal(run(graph, x), y)
    assert ebops(graph) == pytest.approx(float(cost), rel=1e-9)
    nodes = [[type(node.op).__name__, node.name, node.label, node.ebops_factor] for node in graph]
    assert nodes == json.loads((FILES / "nodes.json").read_text(encoding="utf-8"))[name]
