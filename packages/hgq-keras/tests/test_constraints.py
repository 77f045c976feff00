"""Limits of and pressure on trained widths."""

import keras
import numpy as np
import pytest

from hgq_core.errors import ConfigError
from hgq_core.spec import Bounds
from hgq_keras.constraints import Constant, Max, Min, MinMax, as_constraint
from hgq_keras.regularizers import MonoL1, as_regularizer

W = np.array([-3.0, 0.5, 7.0], "float32")
CASES = [
    (MinMax(0, 4), [0.0, 0.5, 4.0]),
    (Min(1), [1.0, 1.0, 7.0]),
    (Max(1), [-3.0, 0.5, 1.0]),
    (Constant(2), [2.0, 2.0, 2.0]),
]


@pytest.mark.parametrize(("constraint", "expected"), CASES, ids=repr)
def test_a_constraint_limits_the_stored_float(constraint, expected):
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(constraint(keras.ops.convert_to_tensor(W))), expected)


@pytest.mark.parametrize("value", [*(constraint for constraint, _ in CASES), MonoL1(1e-3)], ids=repr)
def test_round_trip_through_keras(value):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(value))
    assert type(again) is type(value)
    assert again.get_config() == value.get_config()


def test_mono_l1_is_signed():
    penalty = MonoL1(0.5)(keras.ops.convert_to_tensor(W))
    assert float(keras.ops.convert_to_numpy(penalty)) == 0.5 * 4.5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Bounds(0, 4), "MinMax(min_value=0.0, max_value=4.0)"),
        (Bounds(low=1), "Min(min_value=1.0)"),
        (Bounds(high=1), "Max(max_value=1.0)"),
        (Bounds(), "None"),
        (None, "None"),
        (CASES[0][0], repr(CASES[0][0])),
    ],
    ids=repr,
)
def test_what_a_specification_gives_becomes_a_keras_constraint(value, expected):
    assert repr(as_constraint(value)) == expected


def test_a_number_becomes_a_regulariser():
    assert as_regularizer(1e-8).get_config() == {"l1": 1e-8}
    assert as_regularizer(None) is None
    other = keras.regularizers.L2(0.1)
    assert as_regularizer(other) is other


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: MinMax(4, 0),
        lambda: Min(float("nan")),
        lambda: Max("many"),
        lambda: Constant(float("inf")),
        lambda: MonoL1("much"),
        lambda: MonoL1(float("inf")),
        lambda: MonoL1(1e39),
        lambda: Constant(101),
        lambda: Min(101),
        lambda: Max(-101),
        lambda: MinMax(200, 300),
        lambda: as_constraint("no such constraint"),
        lambda: as_constraint(3),
        lambda: as_regularizer("no such regulariser"),
    ],
)
def test_nonsense_is_refused_with_the_remedy(wrong):
    with pytest.raises(ConfigError, match=r"received .*"):
        wrong()


def test_limits_beyond_what_a_format_has_may_leave_its_widths_free():
    assert (Min(-1000).min_value, Max(1000).max_value, MinMax(-1000, 0).min_value) == (-1000, 1000, -1000)
