"""Group layers: the forward pass at inference against loops over fractions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hgq_core.conformance import compare, oracle
from hgq_core.conformance.backend import Backend, Layer
from hgq_core.conformance.built import Shelf
from hgq_core.conformance.cases_layers import case, cases
from hgq_core.conformance.drawn import numbers
from hgq_core.scope import QuantizerConfigScope, resolve

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


@pytest.mark.parametrize("name", cases("dense-relu", "einsum-dense", "conv1d", "conv2d-groups", "batch-norm"))
def test_inference_follows_widths_that_are_assigned_later(backend: Backend, name: str) -> None:
    """What an implementation keeps of one inference to the next must not outlive a width."""
    chosen = case(name)
    model = backend.model(chosen.layers, chosen.input_shape)
    before = [model.forward(*chosen.inputs) for _ in range(2)]
    (layer,) = chosen.layers
    for slot, width in (("kq", "b"), ("iq", "f")):
        narrower = np.maximum(np.asarray(layer.widths[slot][width]) - 1, 0)
        layer = replace(layer, widths={**layer.widths, slot: {**layer.widths[slot], width: narrower}})
        model.quantizer(0, slot).assign({width: narrower})
        after = model.forward(*chosen.inputs)
        compare.equal(after, oracle.forward([layer], chosen.inputs), f"{name}: model(x) after {slot}.{width}")
        compare.differs(after, before[-1], f"{name}: model(x) after {slot}.{width}")
        before.append(after)


@pytest.mark.parametrize("name", cases())
def test_quantizers_hold_the_assigned_widths(built: Shelf, name: str) -> None:
    chosen = built[name]
    for number, layer in enumerate(chosen.case.layers):
        for place, widths in layer.widths.items():
            stored = chosen.model.quantizer(number, place).widths()
            for width, value in widths.items():
                wanted = np.broadcast_to(value, np.shape(stored[width]))
                compare.equal(stored[width], wanted, f"{name}: layer {number}, {place}.{width}")


@pytest.mark.kinds("dense")
def test_a_layer_has_the_defaults_of_the_scopes_that_it_is_written_in(backend: Backend) -> None:
    """Of two that say different things the inner one, of bits the sum of its parts; and no longer behind them."""
    rng = np.random.default_rng(41)
    x = (rng.integers(-400, 401, (8, 5)) / 64).astype(np.float32)
    weights = {"kernel": numbers(rng, 5, 3), "bias": numbers(rng, 3)}
    plain = Layer("dense", {"units": 3}, {}, weights, defaults=("iq", "kq", "bq"))
    with QuantizerConfigScope(i0=1, overflow_mode="SAT"), QuantizerConfigScope(place=("datalane", "bias"), i0=2, f0=3):
        specs = {slot: resolve(place=place) for slot, place in (("iq", "datalane"), ("kq", "weight"), ("bq", "bias"))}
        model = backend.model([plain], (5,))
    widths = {"iq": {"k": 1, "i": 2, "f": 3}, "kq": {"k": 1, "b": 8, "i": 1}, "bq": {"k": 1, "b": 5, "i": 2}}
    explicit = replace(plain, quantizers=specs, widths=widths, defaults=())
    for slot, stored in widths.items():
        for width, value in stored.items():
            got = model.quantizer(0, slot).widths()[width]
            compare.equal(got, np.full(np.shape(got), value), f"dense in two scopes: {slot}.{width}")
    compare.equal(model.forward(x), oracle.forward([explicit], [x]), "dense in two scopes: model(x)")
    behind = backend.model([plain], (5,)).quantizer(0, "iq").widths()["f"]
    compare.differs(behind, np.full(np.shape(behind), 3.0), "dense behind the scopes: iq.f")
