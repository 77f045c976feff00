"""Group calibration: over several batches nothing wraps afterwards, and what a constraint cuts is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hgq_core.conformance import compare
from hgq_core.conformance.backend import Backend, Layer, Mode, Model
from hgq_core.errors import DataError
from hgq_core.scope import resolve
from hgq_core.spec import Bounds

pytestmark = [pytest.mark.feature("calibration"), pytest.mark.kinds("dense")]


def chain(backend: Backend, seed: int, q_type: str = "kbi", **iq: Any) -> Model:
    """Three dense layers of four whose inputs have few bits under WRAP."""
    rng = np.random.default_rng(seed)
    few = {"b0": 3} if q_type == "kbi" else {}
    data = resolve(q_type, "datalane", **{**few, "i0": 0, "overflow_mode": "WRAP", **iq})
    layers = []
    for _ in range(3):
        weights = {
            "kernel": rng.normal(scale=0.5, size=(4, 4)).astype(np.float32),
            "bias": rng.normal(scale=0.1, size=4).astype(np.float32),
        }
        quantizers = {"iq": data, "kq": resolve(place="weight"), "bq": resolve(place="bias")}
        layers.append(Layer("dense", {"units": 4}, quantizers, weights))
    return backend.model(layers, (4,))


def spread(seed: int) -> np.ndarray:
    """Rows of very different sizes."""
    rng = np.random.default_rng(seed + 100)
    return (rng.normal(size=(64, 4)) * np.exp(2 * rng.normal(size=(64, 1)))).astype(np.float32)


# Where one pass over the batches leaves a number that wraps.
@pytest.mark.parametrize(("axes", "seed"), [({}, 16), ({}, 18), ({"heterogeneous_axis": ()}, 49)])
def test_a_grid_that_moves_with_its_range_settles(backend: Backend, axes: dict[str, Any], seed: int) -> None:
    model, x = chain(backend, seed, **axes), spread(seed)
    model.calibrate(x, batch_size=4)
    call = f"three layers in kbi, seed {seed}, calibrated in batches of 4"
    # Calibration of what is calibrated moves nothing, and only rounds.
    compare.equal(model.forward(x, mode=Mode.INFER), model.forward(x, mode=Mode.CALIBRATE), call)


def test_batches_give_what_all_rows_give_where_the_grid_stands_still(backend: Backend) -> None:
    x = spread(0)
    model = chain(backend, 0, b0=12)
    widths = []
    for batch_size in (None, 7):
        model.calibrate(x, batch_size=batch_size)
        widths.append(model.quantizer(0, "iq").widths())
    for name, value in widths[0].items():
        compare.equal(widths[1][name], value, f"iq.{name} of the first layer, in batches of 7 and at once")


def test_data_that_a_constraint_cuts_are_refused_and_nothing_changes(backend: Backend) -> None:
    model = chain(backend, 1, ic=Bounds(-8, 2))
    x = spread(1)
    small = x / np.float32(np.abs(x).max() * 8)
    model.calibrate(small)
    before = model.forward(small)
    with pytest.raises(DataError, match="integer bits"):
        model.calibrate(np.concatenate([small, np.full((1, 4), 17.0, dtype=np.float32)]), batch_size=4)
    compare.equal(model.forward(small), before, "the model after a calibration that was refused", None)


@pytest.mark.filterwarnings("ignore::hgq_core.errors.DeadLayerWarning")
def test_a_pruned_element_is_not_cut(backend: Backend) -> None:
    """A step of ``2**24`` is more than the default ``ic`` allows in integer bits, and 0 is all that it rounds to."""
    model, x = chain(backend, 2, "kif", f0=-24, ic=Bounds(-23, 23)), spread(2)
    model.calibrate(x, batch_size=16)
    widths = model.quantizer(0, "iq").widths()
    compare.equal(
        widths["i"], np.full_like(widths["i"], 23.0), "iq.i of the first layer, all of its input rounded to 0"
    )
