"""A model whose own arithmetic may round is announced once, with the layer that is farthest from exact."""

import warnings

import numpy as np
import pytest

from hgq_core.errors import HGQWarning, PrecisionWarning
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, prove, warn_if_inexact
from hgq_core.graph import ops as op


def products(widths, fraction=0):
    """One square for each width of its input, each under a name of its own."""
    builder = GraphBuilder()
    outputs = []
    for number, width in enumerate(widths):
        x = builder.add(op.Input((2,), Formats.of(0, width - fraction, fraction)))
        outputs.append(builder.add(op.Multiply(), x, x, name=f"square_{number}", label=f"layer_{number}"))
    return builder.build(outputs)


def test_the_node_that_needs_most_bits_is_named_once():
    with pytest.warns(PrecisionWarning) as caught:
        assert warn_if_inexact(products([12, 14, 16]))
    (said,) = (str(warning.message) for warning in caught)
    assert "float32 may round" in said
    assert "layer 'layer_2' (node 'square_2') needs 32 bits where float32 has 24, and 1 more layers" in said


@pytest.mark.parametrize(("width", "bits", "warns"), [(12, 24, False), (13, 24, True), (13, 53, False), (27, 53, True)])
def test_the_arithmetic_of_the_model_decides(width, bits, warns):
    graph = products([width])
    assert prove(graph).exact_in(bits) is not warns
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert warn_if_inexact(graph, bits=bits) is warns
    assert len(caught) == warns
    assert all({24: "float32", 53: "float64"}[bits] in str(warning.message) for warning in caught)


def test_numbers_beyond_the_exponents_of_float32_are_announced():
    with pytest.warns(
        PrecisionWarning, match=r"'layer_0'.*spans 2\*\*-140 to 2\*\*-132, beyond the numbers of float32"
    ):
        warn_if_inexact(products([4], fraction=70))


def test_the_warning_points_at_the_caller():
    with pytest.warns(HGQWarning) as caught:
        warn_if_inexact(products([16]))
    assert caught[0].filename == __file__


@pytest.mark.parametrize("kind", ["contract", "convolve"])
def test_a_graph_too_large_to_be_looked_through_says_so(kind):
    builder = GraphBuilder()
    if kind == "contract":
        x = builder.add(op.Input((300, 300), Formats.of(0, 1, 0)))
        y = builder.add(op.Contract("bti,io->bto"), x, builder.add(op.Constant.of(np.ones((300, 600)))))
    else:
        x = builder.add(op.Input((300, 300, 8), Formats.of(0, 1, 0)))
        kernel = builder.add(op.Constant.of(np.ones((3, 3, 8, 8))))
        y = builder.add(op.Convolve((1, 1), ((1, 1), (1, 1)), (1, 1)), x, kernel)
    with pytest.warns(PrecisionWarning, match=r"products, so that it was not checked whether float32.*prove\(graph\)"):
        assert warn_if_inexact(builder.build([y]))
