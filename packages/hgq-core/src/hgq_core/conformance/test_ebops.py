"""Group ebops: what a layer reports against a count of its products, one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hgq_core.conformance import compare, oracle
from hgq_core.conformance.backend import Backend, Layer
from hgq_core.conformance.built import Shelf
from hgq_core.conformance.cases_layers import case, cases
from hgq_core.cost import ebops
from hgq_core.modes import Overflow
from hgq_core.spec import KIF

pytestmark = pytest.mark.feature("ebops")


@pytest.mark.parametrize("name", cases())
def test_ebops_of_a_fresh_model(built: Shelf, name: str) -> None:
    chosen = built[name]
    wanted = oracle.total_ebops(chosen.case.layers, chosen.case.input_shape)
    compare.close(chosen.first_ebops, wanted, f"{name}: EBOPs before the first step", relative=1e-6)
    _ = chosen.output
    compare.close(chosen.model.ebops(), wanted, f"{name}: EBOPs after inference", relative=1e-6)


@pytest.mark.parametrize("name", cases())
def test_ebops_of_the_graph(built: Shelf, name: str) -> None:
    chosen = built[name]
    wanted = oracle.total_ebops(chosen.case.layers, chosen.case.input_shape)
    compare.close(ebops(chosen.graph), wanted, f"{name}: EBOPs of the graph", relative=1e-6)


def as_einsum(layer: Layer) -> Layer:
    """The dense layer over rows as an einsum."""
    units = layer.options["units"]
    options = {"equation": "abc,cd->abd", "output_shape": (3, units), "bias_axes": "d"}
    return replace(layer, kind="einsum_dense", options=options)


def as_conv(layer: Layer) -> Layer:
    """The dense layer over rows as a convolution with a window of one."""
    widths = dict(layer.widths)
    widths["kq"] = {name: np.reshape(w, (1, *np.shape(w))) if np.ndim(w) else w for name, w in widths["kq"].items()}
    weights: dict[str, Any] = dict(layer.weights) | {"kernel": layer.weights["kernel"][None]}
    options = {"filters": layer.options["units"], "kernel_size": (1,)}
    return replace(layer, kind="conv1d", options=options, weights=weights, widths=widths)


@pytest.mark.parametrize("factor", [-1, 1, 2])
@pytest.mark.parametrize(
    ("kind", "rewrite"),
    [
        pytest.param("einsum_dense", as_einsum, marks=pytest.mark.kinds("dense", "einsum_dense")),
        pytest.param("conv1d", as_conv, marks=pytest.mark.kinds("dense", "conv1d")),
    ],
)
def test_one_affine_map_costs_the_same_however_it_is_written(
    backend: Backend, kind: str, rewrite: Any, factor: int
) -> None:
    chosen = case("dense-rows")
    dense = chosen.layers[0]
    pair = [dense, rewrite(dense)]
    pair = [replace(layer, options={**layer.options, "parallelization_factor": factor}) for layer in pair]
    wanted = oracle.total_ebops(pair[:1], chosen.input_shape)
    compare.close(oracle.total_ebops(pair[1:], chosen.input_shape), wanted, "the case: both count the same")
    call = f"parallelization_factor={factor}: EBOPs as"
    for layer in pair:
        model = backend.model([layer], chosen.input_shape)
        compare.close(model.ebops(), wanted, f"{call} {layer.kind}", relative=1e-6)
    first, second = (backend.model([layer], chosen.input_shape).forward(*chosen.inputs) for layer in pair)
    compare.equal(second, first, f"dense and {kind} give the same numbers")


@pytest.mark.kinds("dense")
def test_a_weight_that_wraps_costs_what_its_values_need(backend: Backend) -> None:
    """In kif: steps of an eighth below 1 are 3 bits, below 1/2 they are 2, whatever range is stored; 0 is none."""
    kernel = np.array([[0.75, -0.5], [0.0, 3.0]], dtype=np.float32)
    bits = np.array([[3, 2], [0, 5]])
    quantizers = {
        "iq": KIF(i0=3, f0=4, overflow_mode=Overflow.SAT_SYM, homogeneous_axis=(0,)),
        "kq": KIF(i0=6, f0=3, overflow_mode=Overflow.WRAP, is_weight=True, homogeneous_axis=()),
    }
    layer = Layer("dense", {"units": 2}, quantizers, {"kernel": kernel})
    model = backend.model([layer], (2,))
    wanted = float((3 + 4) * bits.sum())
    compare.close(model.ebops(), wanted, "dense, kernel in kif under WRAP: EBOPs", relative=1e-6)
    compare.close(ebops(model.to_graph()), wanted, "dense, kernel in kif under WRAP: EBOPs of the graph", relative=1e-6)
