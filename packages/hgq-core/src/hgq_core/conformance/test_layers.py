"""Group layers: the forward pass at inference against loops over fractions."""

from __future__ import annotations

import numpy as np
import pytest

from hgq_core.conformance import compare
from hgq_core.conformance.built import Shelf
from hgq_core.conformance.cases_layers import cases

pytestmark = pytest.mark.feature("layers")


@pytest.mark.parametrize("name", cases())
def test_forward_at_inference(built: Shelf, name: str) -> None:
    chosen = built[name]
    compare.equal(chosen.output, chosen.expected, f"{name}: model(x)")


@pytest.mark.parametrize("name", cases("dense-relu", "conv2d-same", "average-pool-same", "add"))
def test_a_batch_of_one(built: Shelf, name: str) -> None:
    chosen = built[name]
    got = chosen.model.forward(*(x[:1] for x in chosen.case.inputs))
    compare.equal(got, chosen.expected[:1], f"{name}: model(x) for a batch of one")


@pytest.mark.parametrize("name", cases())
def test_quantizers_hold_the_assigned_widths(built: Shelf, name: str) -> None:
    chosen = built[name]
    for number, layer in enumerate(chosen.case.layers):
        for place, widths in layer.widths.items():
            stored = chosen.model.quantizer(number, place).widths()
            for width, value in widths.items():
                wanted = np.broadcast_to(value, np.shape(stored[width]))
                compare.equal(stored[width], wanted, f"{name}: layer {number}, {place}.{width}")
