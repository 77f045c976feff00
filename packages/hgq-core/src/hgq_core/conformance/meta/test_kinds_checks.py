"""What the rows of each kind of layer compare is not the same by itself: before calibration cases wrap."""

from __future__ import annotations

import numpy as np
import pytest

from hgq_core.conformance.cases_layers import case
from hgq_core.conformance.numpy_backend import NumpyBackend
from hgq_core.conformance.representatives import only_rounding, standing_still
from hgq_core.graph import run
from hgq_core.modes import Overflow
from hgq_core.spec import KIF


@pytest.mark.parametrize("name", ["dense", "conv2d", "add", "maximum", "concatenate", "sum"])
def test_a_case_wraps_before_it_is_calibrated(name: str) -> None:
    chosen = case(name)
    graph = NumpyBackend("numpy").model(chosen.layers, chosen.input_shape).to_graph()
    assert not np.array_equal(run(graph, *chosen.inputs), run(only_rounding(graph), *chosen.inputs))


def test_ranges_that_stand_still_saturate() -> None:
    (layer,) = case("dense").layers
    before, after = layer.quantizers["iq"], standing_still(layer).quantizers["iq"]
    assert isinstance(before, KIF)
    assert isinstance(after, KIF)
    assert (before.overflow_mode, after.overflow_mode) == (Overflow.WRAP, Overflow.SAT_SYM)
