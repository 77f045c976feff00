"""A Keras model goes on training in PyTorch, by its graph alone."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import torch

import hgq_keras
import hgq_torch
from hgq.layers import QConv2D, QDense, QSoftmax, QUnaryFunctionLUT
from hgq_core.conformance.cases_layers import NAMES, case
from hgq_core.cost import ebops, ebops_by_label
from hgq_core.graph import load, run, save
from hgq_keras.testing import KerasBackend

ONE_OF_EACH_KIND = {case(name).layers[0].kind: name for name in reversed(NAMES)}
ALONE = """
import sys
import numpy as np
import torch
from hgq_core.graph import load, run
import hgq_torch
graph = load(sys.argv[1])
x = np.load(sys.argv[2])
module = hgq_torch.from_graph(graph).eval()
assert np.array_equal(module(torch.from_numpy(x)).detach().numpy(), run(graph, x))
loaded = {"keras", "jax", "tensorflow", "hgq_keras"} & set(sys.modules)
sys.exit(f"imported {sorted(loaded)}" if loaded else 0)
"""


@pytest.fixture(scope="module")
def backend():
    return KerasBackend(f"keras-{keras.backend.backend()}")


@pytest.mark.parametrize("name", ONE_OF_EACH_KIND.values(), ids=ONE_OF_EACH_KIND)
def test_a_layer_of_keras_is_a_module_that_trains(backend, name, tmp_path):
    """Outputs bit for bit, EBOPs, labels; a step of training; the graph of it again."""
    chosen = case(name)
    model = backend.model(chosen.layers, chosen.input_shape)
    graph = load(save(model.to_graph(), tmp_path / "layer.hgq.npz"))
    inputs = [np.concatenate([x, 64 * x]).astype("float32") for x in chosen.inputs]
    tensors = [torch.as_tensor(x) for x in inputs]
    module = hgq_torch.from_graph(graph, beta0=1e-4).eval()
    with torch.no_grad():
        np.testing.assert_array_equal(module(*tensors).numpy(), run(graph, *inputs))
    np.testing.assert_array_equal(run(graph, *chosen.inputs), np.asarray(model.forward(*chosen.inputs)))
    assert hgq_torch.ebops(module) == ebops(graph) == model.ebops()
    again = hgq_torch.to_graph(module, tensors)
    np.testing.assert_array_equal(run(again, *inputs), run(graph, *inputs))
    assert ebops_by_label(again) == ebops_by_label(graph)
    assert [node.name for node in again if node.inputs] == [node.name for node in graph if node.inputs]
    module.train()
    (module(*tensors).square().mean() + hgq_torch.ebops_loss(module)).backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(300, 6, 6, 1)).astype("float32")


@pytest.fixture(scope="module")
def model(images):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1), name="image"),
            QConv2D(3, (3, 3), activation="relu", name="conv"),
            keras.layers.MaxPooling2D((2, 2)),
            keras.layers.Flatten(),
            QUnaryFunctionLUT("tanh", name="tanh"),
            QDense(3, name="dense"),
            QSoftmax(name="softmax"),
        ]
    )
    model.compile("adam", "mse")
    model.fit(images, np.ones((len(images), 3), "float32") / 3, epochs=1, verbose=0)
    hgq_keras.calibrate(model, images)
    return model


def test_a_model_of_keras_goes_on_training_and_comes_back_as_a_graph(model, images, tmp_path):
    graph = load(save(hgq_keras.to_graph(model), tmp_path / "model.hgq.npz"))
    module = hgq_torch.from_graph(graph)
    x, labels = torch.from_numpy(images), torch.from_numpy(images.sum((1, 2, 3)) > 0).long()
    assert module.input_names == ("image",)
    with torch.no_grad():
        np.testing.assert_array_equal(module.eval()(x).numpy(), np.asarray(model.predict(images, verbose=0)))
    assert hgq_torch.ebops(module) == hgq_keras.ebops(model)
    assert {"conv_kernel", "conv_bias", "dense_kernel", "dense_iq.f", "tanh_lookup.b"} <= set(
        dict(module.named_parameters())
    )
    optimizer = torch.optim.Adam(hgq_torch.parameter_groups(module), lr=1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.nll_loss(torch.log(module.train()(x) + 1e-3), labels)
        (loss + hgq_torch.ebops_loss(module)).backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    total = hgq_torch.calibrate(module, x)
    trained = hgq_torch.to_graph(module, x)
    assert ebops(trained) == total
    with torch.no_grad():
        np.testing.assert_array_equal(run(trained, images), module.eval()(x).numpy())
    assert set(ebops_by_label(trained)) == set(ebops_by_label(graph))


def test_keras_is_not_needed_for_it(model, images, tmp_path):
    graph = save(hgq_keras.to_graph(model), tmp_path / "model.hgq.npz")
    np.save(tmp_path / "images.npy", images[:10])
    command = [sys.executable, "-c", ALONE, str(graph), str(tmp_path / "images.npy")]
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0
