"""Group training: a loss goes down, widths move, EBOPs has a price, and the trained model still equals its graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hgq_core.conformance import compare, expected
from hgq_core.conformance.backend import Backend, Layer, Mode, Model
from hgq_core.conformance.cases_layers import case
from hgq_core.cost import ebops
from hgq_core.graph import run
from hgq_core.modes import Round
from hgq_core.scope import resolve

pytestmark = pytest.mark.feature("training")

WEIGHT, BIAS, DATA = resolve(place="weight"), resolve(place="bias"), resolve(place="datalane")


def trainable(kind: str, rng: np.random.Generator, *shape: int, **options: Any) -> Layer:
    """A layer with the default quantizers and random weights."""
    bias = options.pop("bias", shape[-1])
    scale = float(np.sqrt(2.0 / np.prod(shape[:-1])))
    weights = {
        "kernel": rng.normal(scale=scale, size=shape).astype(np.float32),
        "bias": np.zeros(bias, dtype=np.float32),
    }
    return Layer(kind, options, {"iq": DATA, "kq": WEIGHT, "bq": BIAS}, weights)


def networks() -> dict[str, tuple[list[Layer], tuple[int, ...], int]]:
    """Layers, input shape and number of outputs by id."""
    rng = np.random.default_rng(21)
    dense = [
        trainable("dense", rng, 6, 12, units=12, activation="relu"),
        trainable("dense", rng, 12, 3, units=3),
    ]
    conv = [
        trainable("conv2d", rng, 3, 3, 1, 4, filters=4, kernel_size=(3, 3), activation="relu"),
        Layer("max_pool2d", {"pool_size": (2, 2)}, {"iq": DATA}),
        Layer("flatten"),
        trainable("dense", rng, 16, 2, units=2),
    ]
    windows = [
        trainable("depthwise2d", rng, 3, 3, 2, 2, bias=4, kernel_size=(3, 3), depth_multiplier=2, activation="relu"),
        trainable("transposed2d", rng, 2, 2, 2, 4, bias=2, filters=2, kernel_size=(2, 2), strides=2),
        Layer("flatten"),
        trainable("dense", rng, 32, 2, units=2),
    ]
    return {"dense": (dense, (6,), 3), "conv": (conv, (6, 6, 1), 2), "windows": (windows, (4, 4, 2), 2)}


NETWORKS = networks()


def params() -> list[Any]:
    return [
        pytest.param(name, marks=pytest.mark.kinds(*(layer.kind for layer in layers)), id=name)
        for name, (layers, _, _) in NETWORKS.items()
    ]


def task(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets that a small network can learn."""
    _, shape, outputs = NETWORKS[name]
    rng = np.random.default_rng(22)
    x = rng.uniform(-2, 2, (128, *shape)).astype(np.float32)
    flat = x.reshape(len(x), -1)
    mix = rng.normal(size=(flat.shape[1], outputs)) / np.sqrt(flat.shape[1])
    return x, np.maximum(flat @ mix, -0.5).astype(np.float32)


def calibrated(backend: Backend, name: str) -> Model:
    layers, shape, _ = NETWORKS[name]
    model = backend.model(layers, shape)
    model.calibrate(task(name)[0])
    return model


def stored(model: Model, name: str) -> dict[str, np.ndarray]:
    """All stored widths of a network, one array per kind of width."""
    layers = NETWORKS[name][0]
    parts: dict[str, list[np.ndarray]] = {}
    for number, layer in enumerate(layers):
        for place in layer.quantizers:
            for width, value in model.quantizer(number, place).widths().items():
                parts.setdefault(f"{place}.{width}", []).append(np.ravel(value).astype(np.float64))
    return {key: np.concatenate(values) for key, values in parts.items()}


@pytest.mark.parametrize("name", params())
def test_the_loss_goes_down_and_widths_move(backend: Backend, name: str) -> None:
    model = calibrated(backend, name)
    before = stored(model, name)
    losses = model.train(*task(name), steps=40, learning_rate=0.01, beta=1e-6)
    compare.decreasing(losses, f"{name}: 40 steps", factor=0.7)
    after = stored(model, name)
    for width in ("kq.b", "iq.f"):
        compare.differs(after[width], before[width], f"{name}: {width} after 40 steps")


@pytest.mark.parametrize("name", params())
def test_beta_lowers_ebops(backend: Backend, name: str) -> None:
    model = calibrated(backend, name)
    before = model.ebops()
    model.train(*task(name), steps=60, learning_rate=0.05, beta=1e-2)
    compare.decreasing([before, *[model.ebops()] * 3], f"{name}: EBOPs under a high beta", factor=0.8)


@pytest.mark.parametrize("name", params())
def test_the_trained_model_equals_its_graph(backend: Backend, name: str) -> None:
    model = calibrated(backend, name)
    x, y = task(name)
    model.train(x, y, steps=8, learning_rate=0.02, beta=1e-5)
    model.calibrate(x)
    graph = model.to_graph()
    compare.equal(run(graph, x), model.forward(x), f"{name}: run(to_graph(trained), x)", None)
    compare.close(ebops(graph), model.ebops(), f"{name}: EBOPs of the trained model and of its graph", relative=1e-6)


@pytest.mark.parametrize("name", params())
def test_after_calibration_nothing_wraps(backend: Backend, name: str) -> None:
    model = calibrated(backend, name)
    x, _ = task(name)
    compare.equal(model.forward(x, mode=Mode.INFER), model.forward(x, mode=Mode.CALIBRATE), f"{name}: calibrated model")


@pytest.mark.kinds("dense")
def test_calibration_of_a_model_starts_afresh_and_is_exact(backend: Backend) -> None:
    model = calibrated(backend, "dense")
    x, _ = task("dense")
    model.calibrate(x * np.float32(8.0))
    model.calibrate(x)
    iq = model.quantizer(0, "iq").widths()
    wanted = [[expected.integer_bits(c.min(), c.max(), 6, Round.RND) for c in x.T]]
    compare.equal(iq["i"], wanted, "calibrated dense: iq.i")
    compare.equal(iq["k"], np.ones((1, 6)), "calibrated dense: iq.k")
    model.calibrate(np.abs(x))
    compare.equal(model.quantizer(0, "iq").widths()["k"], np.zeros((1, 6)), "data without a sign needs no sign bit")


@pytest.mark.kinds("dense")
def test_inference_changes_nothing(backend: Backend) -> None:
    chosen = case("chain-dense-dense")
    model = backend.model(chosen.layers, chosen.input_shape)
    pairs = [(n, place) for n, layer in enumerate(chosen.layers) for place in layer.quantizers]
    before = [model.quantizer(n, place).widths() for n, place in pairs]
    first = model.forward(*chosen.inputs)
    compare.equal(model.forward(*chosen.inputs), first, "the second inference")
    for (n, place), widths in zip(pairs, before, strict=True):
        for width, value in model.quantizer(n, place).widths().items():
            compare.equal(value, widths[width], f"layer {n}, {place}.{width} after inference")
