"""From a trained model of either front end to the same firmware, across the borders of the packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import torch

import hgq_hw
import hgq_keras
import hgq_torch
from hgq.layers import QConv2D, QDense
from hgq.utils import trace_minmax
from hgq_core.cost import ebops
from hgq_core.graph import Graph, load, run, save
from hgq_torch import nn as qnn

FROM_FILE = """
import sys
from hgq_core.graph import load
import hgq_hw
hgq_hw.da4ml.lower(load(sys.argv[1]), latency_cutoff=4).write(sys.argv[2], language="verilog", name="chain")
loaded = {"keras", "jax", "torch", "tensorflow", "hgq_keras", "hgq_torch"} & set(sys.modules)
sys.exit(f"imported {sorted(loaded)}" if loaded else 0)
"""


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(200, 6, 6, 1)).astype("float32")


@pytest.fixture(scope="module")
def trained(images: np.ndarray) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            QConv2D(3, (3, 3), activation="relu", name="conv"),
            keras.layers.MaxPooling2D((2, 2)),
            keras.layers.Flatten(),
            QDense(4, name="dense"),
        ]
    )
    model.compile("adam", "mse")
    model.fit(images, np.ones((len(images), 4), "float32"), epochs=2, verbose=0)
    trace_minmax(model, images)
    return model


@pytest.fixture(scope="module")
def graph(trained: keras.Model) -> Graph:
    return hgq_keras.to_graph(trained)


def sources(folder: Path) -> dict[str, bytes]:
    """Every Verilog file of a project by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.v")}


def test_the_model_its_graph_and_its_logic_compute_the_same_numbers(
    trained: keras.Model, graph: Graph, images: np.ndarray
) -> None:
    expected = trained.predict(4 * images, verbose=0)  # beyond the calibrated range too
    assert np.array_equal(expected, run(graph, 4 * images))
    assert np.array_equal(expected, hgq_hw.da4ml.lower(graph).predict(4 * images))
    assert ebops(graph) == hgq_keras.ebops(trained)


def test_a_saved_graph_gives_the_same_verilog_without_keras(graph: Graph, tmp_path: Path) -> None:
    file = save(graph, tmp_path / "chain.hgq.npz")
    assert load(file) == graph
    hgq_hw.da4ml.lower(graph, latency_cutoff=4).write(tmp_path / "direct", language="verilog", name="chain")
    subprocess.run([sys.executable, "-c", FROM_FILE, str(file), str(tmp_path / "from_file")], check=True)
    direct = sources(tmp_path / "direct")
    assert len(direct) > 1
    assert direct == sources(tmp_path / "from_file")


def test_a_torch_model_reaches_the_same_hardware() -> None:
    torch.manual_seed(0)
    x = torch.randn(300, 8)
    model = torch.nn.Sequential(qnn.QLinear(8, 6, activation="relu"), qnn.QLinear(6, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(5):
        optimizer.zero_grad()
        (model(x).square().mean() + hgq_torch.ebops_loss(model)).backward()
        optimizer.step()
    total = hgq_torch.calibrate(model, x)
    graph = hgq_torch.to_graph(model, x[:1])
    expected = model.eval()(4 * x).detach().numpy()
    assert np.array_equal(expected, run(graph, 4 * x.numpy()))
    assert np.array_equal(expected, hgq_hw.da4ml.lower(graph).predict(4 * x.numpy()))
    assert ebops(graph) == total
