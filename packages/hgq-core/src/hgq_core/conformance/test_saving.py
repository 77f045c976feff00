"""Group saving: a model written and read back by the implementation's own formats is the same model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hgq_core.conformance import compare
from hgq_core.conformance.backend import Backend, Mode
from hgq_core.conformance.built import Shelf
from hgq_core.conformance.cases_layers import case, cases
from hgq_core.cost import ebops
from hgq_core.graph import run

pytestmark = pytest.mark.feature("saving")


@pytest.mark.parametrize("name", cases())
def test_every_format_gives_the_same_model(backend: Backend, built: Shelf, name: str, tmp_path: Path) -> None:
    chosen, model, before = built[name].case, built[name].model, built[name].output
    compare.equal(len(backend.save_formats) > 0, True, "the backend names at least one format")
    for save_format in backend.save_formats:
        folder = tmp_path / save_format.replace(".", "-")
        folder.mkdir()
        loaded = model.save_and_load(folder, save_format)
        call = f"{name}, {save_format}"
        compare.equal(loaded.forward(*chosen.inputs), before, f"{call}: loaded(x)")
        compare.close(loaded.ebops(), model.ebops(), f"{call}: EBOPs", relative=1e-6)
        for number, layer in enumerate(chosen.layers):
            for place in layer.quantizers:
                stored, again = (m.quantizer(number, place).widths() for m in (model, loaded))
                compare.equal(sorted(again) == sorted(stored), True, f"{call}: names of {place}'s widths")
                for width, value in stored.items():
                    compare.equal(again[width], value, f"{call}: layer {number}, {place}.{width}")
        graph = loaded.to_graph()
        compare.close(ebops(graph), ebops(built[name].graph), f"{call}: EBOPs of the graph", relative=1e-9)
        compare.equal(run(graph, *chosen.inputs), before, f"{call}: run(to_graph(loaded), x)")


@pytest.mark.feature("calibration")
@pytest.mark.kinds("dense")
def test_calibrated_widths_are_saved(backend: Backend, tmp_path: Path) -> None:
    chosen = case("dense")
    model = backend.model(chosen.layers, chosen.input_shape)
    model.calibrate(*chosen.inputs)
    before = model.forward(*chosen.inputs, mode=Mode.INFER)
    for save_format in backend.save_formats:
        folder = tmp_path / save_format.replace(".", "-")
        folder.mkdir()
        loaded = model.save_and_load(folder, save_format)
        compare.equal(loaded.forward(*chosen.inputs), before, f"calibrated dense, {save_format}: loaded(x)")
        stored, again = (np.asarray(m.quantizer(0, "iq").widths()["i"]) for m in (model, loaded))
        compare.equal(again, stored, f"calibrated dense, {save_format}: iq.i")
