"""Group graph: what an implementation exports equals its own forward pass, and survives its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hgq_core.conformance import compare
from hgq_core.conformance.built import Shelf
from hgq_core.conformance.cases_layers import cases
from hgq_core.cost import ebops
from hgq_core.graph import load, prove, run, save
from hgq_core.graph.evaluate import evaluate
from hgq_core.graph.integers import IntegerArray

pytestmark = pytest.mark.feature("graph")


@pytest.mark.parametrize("name", cases())
def test_running_the_graph_equals_the_definition_and_the_model(built: Shelf, name: str) -> None:
    chosen = built[name]
    got = run(chosen.graph, *chosen.case.inputs)
    compare.equal(got, chosen.expected, f"{name}: run(to_graph(model), x)")
    compare.equal(got, chosen.output, f"{name}: run(to_graph(model), x) and model(x)")


@pytest.mark.parametrize("name", cases())
def test_floats_and_integers_agree_and_stay_in_the_proved_range(built: Shelf, name: str) -> None:
    graph, inputs = built[name].graph, built[name].case.inputs
    got = run(graph, *inputs)
    integers = evaluate(graph, [IntegerArray.of(x) for x in inputs])[0]
    compare.equal(integers.values, got, f"{name}: on integers and on floats")
    proof = prove(graph)
    compare.equal(proof.float32_exact, True, f"{name}: the case: narrow enough for float32")
    formats = proof.formats[graph.outputs[0]]
    inside = (got >= formats.lowest) & (got <= formats.highest)
    compare.equal(inside, np.ones_like(inside), f"{name}: outputs inside the proved range")
    units = np.ldexp(got, formats.f)
    compare.equal(units, np.rint(units), f"{name}: outputs are multiples of the proved step")


@pytest.mark.parametrize("name", cases())
def test_file_round_trip(built: Shelf, name: str, tmp_path: Path) -> None:
    graph, inputs = built[name].graph, built[name].case.inputs
    again = built[name].model.to_graph()
    first, second = (save(g, tmp_path / f"{n}.hgq.npz") for n, g in enumerate((graph, again)))
    loaded = load(first)
    compare.same_graph(loaded, graph, f"{name}: load(save(graph))")
    compare.equal(run(loaded, *inputs), run(graph, *inputs), f"{name}: run(load(save(graph)), x)")
    compare.close(ebops(loaded), ebops(graph), f"{name}: EBOPs of the loaded graph", relative=0.0)
    one, other = (np.frombuffer(path.read_bytes(), dtype=np.uint8) for path in (first, second))
    compare.equal(other, one, f"{name}: two exports of one model, byte for byte")
