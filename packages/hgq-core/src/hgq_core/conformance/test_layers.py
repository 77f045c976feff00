"""Group layers: the forward pass at inference against loops over fractions, and training and calibration beside it."""

from __future__ import annotations

import numpy as np
import pytest

from hgq_core.conformance import brute, compare
from hgq_core.conformance.backend import Backend
from hgq_core.conformance.cases_layers import case, cases

pytestmark = pytest.mark.feature("layers")


@pytest.mark.parametrize("name", cases())
def test_forward_at_inference(backend: Backend, name: str) -> None:
    chosen = case(name)
    model = backend.model(chosen.layers, chosen.input_shape)
    wanted = brute.forward(chosen.layers, chosen.inputs)
    compare.equal(model.forward(*chosen.inputs), wanted, f"{name}: model(x)")
    one = model.forward(*(x[:1] for x in chosen.inputs))
    compare.equal(one, wanted[:1], f"{name}: model(x) for a batch of one")


@pytest.mark.parametrize("name", cases())
def test_quantizers_hold_the_assigned_widths(backend: Backend, name: str) -> None:
    chosen = case(name)
    model = backend.model(chosen.layers, chosen.input_shape)
    for number, layer in enumerate(chosen.layers):
        for place, widths in layer.widths.items():
            stored = model.quantizer(number, place).widths()
            for width, value in widths.items():
                wanted = np.broadcast_to(value, np.shape(stored[width]))
                compare.equal(stored[width], wanted, f"{name}: layer {number}, {place}.{width}")
