"""A quantizer's nodes: scaler and affine map are exact, and the sign of a negative scaler is explicit."""

from fractions import Fraction

import numpy as np
import pytest

from hgq_core.errors import UnsupportedError
from hgq_core.exact import quantized
from hgq_core.formats import FixedPoint, Formats
from hgq_core.graph import GraphBuilder, add_quantizer, run
from hgq_core.graph import ops as op
from hgq_core.modes import Overflow, Round

X = np.arange(-40, 41)[:, None] / 16


def graph_of(**changed):
    given = {"formats": Formats.of(1, 1, 1), "round_mode": Round.RND, "overflow_mode": Overflow.WRAP}
    given |= {"scaler": None, "affine": None, "name": "q", "label": "layer"} | changed
    builder = GraphBuilder()
    return builder.build([add_quantizer(builder, builder.add(op.Input((1,)), name="x"), **given)])


@pytest.mark.parametrize("overflow", list(Overflow))
@pytest.mark.parametrize("rounding", list(Round))
@pytest.mark.parametrize("scaler", [1.0, 4.0, 0.25, -1.0, -2.0, -0.5])
def test_a_scaler_rounds_and_limits_what_was_divided_by_it(scaler, rounding, overflow):
    graph = graph_of(scaler=scaler, round_mode=rounding, overflow_mode=overflow)
    s, cell = Fraction(scaler), FixedPoint(1, 1, 1)
    wanted = [float(s * quantized(Fraction(float(x)) / s, cell, rounding, overflow)) for x in X.flat]
    np.testing.assert_array_equal(run(graph, X).ravel(), wanted)


def test_the_affine_map_follows():
    got = run(graph_of(scaler=-2.0, affine=(-4.0, 0.25), overflow_mode="SAT"), [[2.6], [-9.0]])
    np.testing.assert_array_equal(got, [[-4.0 * 3.0 + 0.25], [-4.0 * -3.0 + 0.25]])


def test_a_dummy_leaves_numbers_as_they_are_and_applies_the_affine_map():
    builder = GraphBuilder()
    x = builder.add(op.Input((1,), Formats.of(1, 4, 4)))
    modes = {"formats": None, "round_mode": "TRN", "overflow_mode": "WRAP", "name": "q", "label": "layer"}
    assert add_quantizer(builder, x, scaler=-0.5, affine=None, **modes) == x
    graph = builder.build([add_quantizer(builder, x, scaler=None, affine=(2.0, 1.0), **modes)])
    np.testing.assert_array_equal(run(graph, X), 2 * X + 1)


@pytest.mark.parametrize("formats", [Formats.of(1, 1, 1), None])
@pytest.mark.parametrize("scaler", [3.0, -0.1, np.inf, 0.0])
def test_a_scaler_that_would_round_names_quantizer_and_layer(scaler, formats):
    with pytest.raises(UnsupportedError, match=r"'q' of layer 'layer': scaler .* is no power of two.*-2\*\*n"):
        graph_of(scaler=scaler, formats=formats)


def test_nothing_around_a_quantizer_adds_no_node_and_no_cost():
    graph = graph_of()
    assert [node.name for node in graph] == ["x", "q"]
    assert {node.ebops_factor for node in graph_of(scaler=-1.0, affine=(2.0, 1.0)) if node.name != "x"} == {0.0}
