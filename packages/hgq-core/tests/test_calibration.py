"""Calibration without a framework: fingerprints of widths, and passes that repeat until nothing moves."""

import numpy as np
import pytest

from hgq_core.calibration import FINGERPRINT_BYTES, fingerprint, settle
from hgq_core.errors import ConfigError
from hgq_core.quantizer.range import cut


def test_a_fingerprint_tells_widths_apart_by_name_value_and_shape():
    seen = {
        fingerprint(widths).tobytes()
        for widths in ({"i": [1.0, 2.0]}, {"f": [1.0, 2.0]}, {"i": [2.0, 1.0]}, {"i": [[1.0, 2.0]]}, {"i": [1.0]}, {})
    }
    assert len(seen) == 6
    assert all(len(one) == FINGERPRINT_BYTES for one in seen)


def test_a_fingerprint_reads_whole_bits_in_any_type_and_order():
    a = fingerprint({"i": np.array([1.2, -0.3], np.float32), "f": np.array([3.0])})
    b = fingerprint({"f": np.array([3]), "i": np.array([1, 0])})
    assert np.array_equal(a, b)
    assert a.any()


def test_one_pass_is_enough_where_no_grid_moves():
    passes = []
    assert settle(lambda n: passes.append(n) or "result", lambda: [len(passes)], moving=0) == "result"
    assert passes == [0]


@pytest.mark.parametrize("needed", [1, 3, 5])
def test_passes_repeat_until_one_changes_nothing(needed):
    ranges, passes = np.zeros(2), []

    def one_pass(number):
        passes.append(number)
        ranges[:] = np.minimum(ranges + 1, needed)
        return number

    assert settle(one_pass, lambda: [ranges], moving=1) == needed
    assert passes == list(range(needed + 1))


def test_ranges_that_never_settle_are_an_error_that_says_how_long_it_tried():
    ranges = np.zeros(1)

    def one_pass(_):
        ranges[0] += 1

    with pytest.raises(ConfigError, match="still grow after 8 passes"):
        settle(one_pass, lambda: [ranges], moving=2)
    assert ranges[0] == 8


def columns(*elements):
    return np.array(elements, dtype=float).T


def test_the_element_that_lacks_most_is_named():
    assert cut(*columns((3, 1, 3, 2), (7, 1, 4, 2), (6, 1, 5, 2))) == (7, 4)
    assert cut(*columns((3, 1, 3, 2), (4, 0, 4, 0))) is None


def test_data_that_round_to_zero_need_no_bits():
    assert cut(*columns((24, 1, 23, -24))) is None
    assert cut(*columns((25, 1, 23, -24))) == (25, 23)


@pytest.mark.parametrize(
    ("needed", "k", "i", "negative", "lack"),
    [
        (3, 0, 3, False, None),
        (3, 0, 3, True, (4, 3)),  # a sign for which a free integer bit does not stand in
        (1, 0, 3, True, (4, 3)),
        (4, 1, 3, True, (5, 4)),
        (-2, 0, 3, True, (4, 3)),  # one step below zero
        (9, 0, -2, True, None),  # dead: 0 for any data
    ],
)
def test_a_frozen_range_counts_its_sign(needed, k, i, negative, lack):
    assert cut(*columns((needed, k, i, 2)), negative=np.array([negative])) == lack
