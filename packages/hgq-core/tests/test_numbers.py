"""Numbers that users pass are numbers that a step in float32 can use."""

import numpy as np
import pytest

from hgq_core.errors import ConfigError
from hgq_core.numbers import epsilon_of, finite, fraction, not_negative


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3.5e38, True, "1", None, 1j, [1.0], np.ones(2)])
@pytest.mark.parametrize("check", [finite, not_negative])
def test_what_is_no_number_of_float32_is_refused_by_name(check, value):
    with pytest.raises(ConfigError, match=r"^beta0: received .*, expected a finite number"):
        check(value, "beta0")


@pytest.mark.parametrize("value", [0, np.float32(0.5), np.int64(3), 3.4e38, 1e-45])
def test_numbers_of_every_kind_are_kept(value):
    assert finite(value, "x") == not_negative(value, "x") == float(value)
    assert type(finite(value, "x")) is float


@pytest.mark.parametrize("value", [0, 0.0, -0.0, 1e-46, 1e-39])
def test_a_divisor_is_not_what_float32_takes_for_nothing(value):
    with pytest.raises(ConfigError, match="expected a finite number other than 0"):
        finite(value, "scaler", zero=False)


def test_negative_numbers_only_where_they_mean_something():
    assert finite(-2, "scaler", zero=False) == -2.0
    with pytest.raises(ConfigError, match="received -2, expected a finite number, 0 or larger"):
        not_negative(-2, "beta0")


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf, True, "1", None])
def test_momentum_is_a_part_of_a_whole(value):
    with pytest.raises(ConfigError, match=r"^momentum: received .*, expected a number from 0 to 1"):
        fraction(value, "momentum")
    assert (fraction(0, "momentum"), fraction(1, "momentum")) == (0.0, 1.0)


@pytest.mark.parametrize("value", [0, -1e-3, 1e-46, np.nan, np.inf, True, "1", None])
def test_an_epsilon_is_something_in_float32_too(value):
    with pytest.raises(ConfigError, match=r"^eps: received .*, expected a finite number above 0"):
        epsilon_of(value, "eps")
    assert epsilon_of(np.float32(0.5), "eps") == 0.5
