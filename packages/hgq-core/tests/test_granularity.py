"""Which elements share a width: found by giving every width its own number and looking where it lands."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.granularity import Granularity
from hgq_core.ops import NUMPY

SHAPE = (2, 6, 4)


def owners(sharing, shape=SHAPE):
    """For each element, the number of the width that it uses."""
    widths = np.arange(np.prod(sharing.width_shape)).reshape(sharing.width_shape)
    return np.broadcast_to(sharing.expand(NUMPY, widths), shape)


@given(st.sets(st.integers(0, 2)), st.sampled_from([1, 2, 3, 6]))
def test_elements_share_a_width_if_they_differ_only_along_shared_axes_and_inside_blocks(own, block):
    blocks = {1: block} if 1 in own and block > 1 else {}
    got = owners(Granularity(heterogeneous_axis=tuple(own), blocks=blocks).resolve(SHAPE))
    keys = {}
    for index in np.ndindex(SHAPE):
        key = tuple(n // blocks.get(axis, 1) for axis, n in enumerate(index) if axis in own)
        assert keys.setdefault(key, got[index]) == got[index]
    assert len(set(keys.values())) == len(keys)


@given(st.sets(st.integers(0, 2)))
def test_the_two_kinds_of_axes_are_complements_and_negative_axes_count_from_the_end(own):
    shared = set(range(3)) - own
    first = Granularity(heterogeneous_axis=tuple(a - 3 for a in own)).resolve(SHAPE)
    assert first == Granularity(homogeneous_axis=tuple(shared)).resolve(SHAPE)


def test_the_gradient_of_a_width_sums_over_the_elements_that_share_it():
    sharing = Granularity(heterogeneous_axis=(1,), blocks={1: 3}).resolve(SHAPE)
    x = np.random.default_rng(0).normal(size=SHAPE)
    got = NUMPY.sum(sharing.split(NUMPY, x), sharing.shared_axes)
    assert got.shape == sharing.width_shape
    assert got.ravel() == pytest.approx([x[owners(sharing) == n].sum() for n in range(2)])
    np.testing.assert_array_equal(sharing.join(NUMPY, sharing.split(NUMPY, x)), x)


def test_an_unknown_batch_is_shared():
    sharing = Granularity(homogeneous_axis=(0,), blocks={2: 2}).resolve((None, 3, 4))
    assert sharing.join(NUMPY, sharing.split(NUMPY, np.zeros((7, 3, 4)))).shape == (7, 3, 4)
    assert owners(sharing, (7, 3, 4)).max() == 5


@pytest.mark.parametrize(
    ("arguments", "shape", "error", "says"),
    [
        ({"heterogeneous_axis": (1,)}, (2, None), ShapeError, r"axis 1 of shape \(2, None\).*homogeneous_axis=\(1,\)"),
        ({"homogeneous_axis": (3,)}, SHAPE, ConfigError, "axis 3 is out of range for a tensor with 3 axes"),
        ({"homogeneous_axis": (-4,)}, SHAPE, ConfigError, "expected -3 to 2"),
        ({"homogeneous_axis": ("0",)}, SHAPE, ConfigError, "axis '0' is out of range"),
        ({"homogeneous_axis": (0, -3)}, SHAPE, ConfigError, "given twice"),
        ({"heterogeneous_axis": (1,), "blocks": {1: 4}}, SHAPE, ConfigError, "do not divide axis 1 of size 6"),
        ({"heterogeneous_axis": (1,), "blocks": {1: 0}}, SHAPE, ConfigError, "do not divide"),
        ({"heterogeneous_axis": (1,), "blocks": {2: 2}}, SHAPE, ConfigError, "which share one width"),
    ],
)
def test_axes_that_do_not_fit_are_refused(arguments, shape, error, says):
    with pytest.raises(error, match=says):
        Granularity(**arguments).resolve(shape)


@pytest.mark.parametrize("arguments", [{}, {"homogeneous_axis": (0,), "heterogeneous_axis": (1,)}])
def test_exactly_one_kind_of_axes_is_given(arguments):
    with pytest.raises(ConfigError, match="exactly one of the two"):
        Granularity(**arguments)
