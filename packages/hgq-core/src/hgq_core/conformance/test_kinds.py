"""Groups cost_gradients, calibration and training for every kind of layer: one case of each, as the table has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hgq_core.conformance import compare, oracle
from hgq_core.conformance.backend import Backend, Layer, Model
from hgq_core.conformance.cases_layers import case
from hgq_core.conformance.representatives import only_rounding, representatives, standing_still
from hgq_core.conformance.wiring import calls_of
from hgq_core.cost import ebops
from hgq_core.graph import run

SAMPLED = 3
"""Elements of each width whose derivative is compared."""


def one_bit_more_or_less(
    layers: list[Layer], shape: tuple[int, ...], number: int, slot: str, name: str, stored: np.ndarray, at: Any
) -> tuple[float, float]:
    """What one more bit of this element costs, and what one less saves."""

    def cost(change: int) -> float:
        widths = stored.copy()
        widths[at] += change
        layer = layers[number]
        changed = replace(layer, widths={**layer.widths, slot: {**layer.widths[slot], name: widths}})
        return oracle.total_ebops([*layers[:number], changed, *layers[number + 1 :]], shape)

    less, same, more = (cost(change) for change in (-1, 0, 1))
    return more - same, same - less


@pytest.mark.feature("cost_gradients")
@pytest.mark.parametrize("name", representatives(lambda layer: bool(layer.quantizers)))
def test_a_width_costs_what_one_bit_more_or_less_does(backend: Backend, name: str) -> None:
    """The derivative is the difference where the cost is linear, and lies between both where it bends.

    It bends where operands tie for the smallest, at 0 bits, and at the input of a table, of which a bit doubles it.
    """
    chosen = case(name)
    layers = [standing_still(layer) for layer in chosen.layers]
    got = backend.model(layers, chosen.input_shape).cost_gradients(*chosen.inputs)
    rng = np.random.default_rng(31)
    operands = {call.layer: len(call.operands) for call in calls_of(layers)}
    compared = 0
    for number, layer in enumerate(layers):
        for slot in layer.quantizers:
            for width, given in got[number, slot].items():
                stored = np.broadcast_to(layer.widths[slot][width], given.shape).astype(np.float64)
                # One quantizer of the case serves all inputs, and that of the first is judged, with its share.
                share = operands[number] if slot == "iq" else 1
                for flat in rng.choice(given.size, min(SAMPLED, given.size), replace=False):
                    at = np.unravel_index(flat, given.shape)
                    bounds = one_bit_more_or_less(layers, chosen.input_shape, number, slot, width, stored, at)
                    call = f"{name}: d EBOPs / d {slot}.{width}{[int(n) for n in at]} of layer {number}"
                    compare.between(given[at] * share, bounds, call)
                    compared += 1
    compare.differs(compared, 0, f"{name}: compared derivatives")


@pytest.fixture(scope="module")
def calibrated(backend: Backend) -> Iterator[Callable[[str], Model]]:
    """The model of a case after calibration in batches; calibrated once for all tests here."""
    made: dict[str, Model] = {}

    def model(name: str) -> Model:
        if name not in made:
            chosen = case(name)
            made[name] = backend.model(chosen.layers, chosen.input_shape)
            made[name].calibrate(*chosen.inputs, batch_size=5)
        return made[name]

    yield model
    made.clear()


def stored(model: Model, layers: tuple[Layer, ...]) -> np.ndarray:
    """All widths that a model stores, as one vector; those of layers inside are left out."""
    parts = [
        np.ravel(value)
        for number, layer in enumerate(layers)
        for slot in layer.quantizers
        for value in model.quantizer(number, slot).widths().values()
    ]
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)


@pytest.mark.filterwarnings("ignore::hgq_core.errors.DeadLayerWarning")
@pytest.mark.feature("calibration")
@pytest.mark.parametrize("name", representatives())
def test_after_calibration_of_a_layer_nothing_wraps(calibrated: Callable[[str], Model], name: str) -> None:
    model, inputs = calibrated(name), case(name).inputs
    graph = model.to_graph()
    expected = run(only_rounding(graph), *inputs)
    compare.equal(run(graph, *inputs), expected, f"{name}: the calibrated graph, and with more integer bits")
    compare.equal(model.forward(*inputs), expected, f"{name}: model(x) after calibration")


@pytest.mark.filterwarnings("ignore::hgq_core.errors.DeadLayerWarning")
@pytest.mark.feature("training")
@pytest.mark.parametrize("name", representatives())
def test_a_layer_trains_and_then_equals_its_graph(calibrated: Callable[[str], Model], name: str) -> None:
    chosen, model = case(name), calibrated(name)
    before, y = stored(model, chosen.layers), model.forward(*chosen.inputs)
    losses = model.train(chosen.inputs, (0.5 * y + 0.25).astype(np.float32), steps=3, learning_rate=0.02, beta=1e-5)
    compare.equal(np.isfinite(losses), np.ones(3), f"{name}: three losses, each finite")
    if before.size:
        compare.differs(stored(model, chosen.layers), before, f"{name}: widths after three steps")
    graph = model.to_graph()
    compare.equal(run(graph, *chosen.inputs), model.forward(*chosen.inputs), f"{name}: run(to_graph(trained), x)")
    compare.close(ebops(graph), model.ebops(), f"{name}: EBOPs of the trained model and of its graph", relative=1e-6)
