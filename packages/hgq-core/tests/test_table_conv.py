"""Convolutions of tables: the gathered window is that of a convolution, and what does not fit is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Gather, Pad
from hgq_core.layers import TableConvolution, Values, trace
from hgq_core.layers.window import gathered
from hgq_core.linear import Convolve
from hgq_core.ops import NUMPY


@given(st.data())
def test_the_gathered_window_is_that_of_a_convolution(data):
    rank = data.draw(st.integers(1, 2))
    several = lambda low, high: tuple(data.draw(st.integers(low, high)) for _ in range(rank))  # noqa: E731
    window, pads = several(1, 3), tuple(zip(several(0, 2), several(0, 2), strict=True))
    op = Convolve(several(1, 3), pads, several(1, 2))
    rng = np.random.default_rng(1)
    x, kernel = (rng.integers(-9, 10, shape) for shape in ((2, *several(6, 7), 2), (*window, 2, 3)))
    program = trace(lambda t, v: gathered(t, v, window, op.strides, op.pads, op.dilation), x.shape[1:])
    windows = Values(NUMPY, None).read(program, [x])  # moves have no slots
    found = np.tensordot(windows, kernel, rank + 1)
    np.testing.assert_array_equal(found, op.apply(NUMPY, x, kernel))


def test_a_window_of_one_position_gathers_nothing():
    program = trace(lambda t, v: gathered(t, v, (1,), (1,), ((0, 0),), (1,)), (5, 2))
    assert not any(isinstance(step.kind, Gather | Pad) for step in program.steps)


def test_its_slots_have_the_axes_of_positions_filters_window_and_channels():
    program = trace(TableConvolution(4, (3, 2), (1, 2), "same", (1, 1), groups=2), (5, 4, 6))
    assert program.output_shape == (5, 2, 4)
    assert program.quantizers["iq"].shape == program.quantizers["toq"].shape == (5, 2, 2, 2, 3, 2, 3)
    assert program.weights["kernel_0"].shape == (1, 1, 2, 2, 3, 2, 3, 1, 8)
    assert program.weights["bias"].shape == (2, 2)


@pytest.mark.parametrize(
    ("declaration", "shape", "message"),
    [
        (TableConvolution(2, (3,), (1,), "valid", (1,)), (5,), "expected .batch, n, channels."),
        (TableConvolution(2, (3,), (1,), "valid", (1,)), (2, 1), "larger than the data"),
        (TableConvolution(2, (3,), (1,), ((1, 1), (0, 0)), (1,)), (5, 1), "expected a pair for each of 1 spatial axes"),
        (TableConvolution(2, (3,), (1,), "valid", (1,), groups=2), (5, 3), "cannot be divided into 2 groups"),
        (TableConvolution(3, (3,), (1,), "valid", (1,), groups=2), (5, 4), "cannot be divided into 2 groups"),
        (TableConvolution(2, (3,), (1,), "valid", (1,), parallelization_factor=4), (5, 1), "number of instances"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(declaration, shape, message):
    with pytest.raises((ShapeError, ConfigError), match=message):
        trace(declaration, shape)
