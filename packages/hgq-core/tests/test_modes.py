import pytest

from hgq_core.errors import ConfigError
from hgq_core.modes import Overflow, Round
from hgq_core.ops import NUMPY
from hgq_core.quantize import fixed_point


@pytest.mark.parametrize(
    ("name", "mode"),
    [("S_RND", Round.RND_INF), ("s_rnd_conv", Round.RND_CONV), ("trn", Round.TRN), (Round.RND, Round.RND)],
)
def test_names_in_any_case_and_aliases(name, mode):
    assert Round.parse(name) is mode


def test_the_spec_names_seven_roundings_and_three_overflows():
    assert set(Round) == {"TRN", "TRN_ZERO", "RND", "RND_ZERO", "RND_INF", "RND_MIN_INF", "RND_CONV"}
    assert set(Overflow) == {"WRAP", "SAT", "SAT_SYM"}
    assert [Overflow.parse(str(mode).lower()) for mode in Overflow] == list(Overflow)


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        (Round, "RND_CONF", "did you mean 'RND_CONV'"),
        (Overflow, "satsym", "did you mean 'SAT_SYM'"),
        (Overflow, "xyz", r"expected one of \['SAT', 'SAT_SYM', 'WRAP'\]$"),
        (Round, None, "received None"),
    ],
)
def test_unknown_modes_are_refused_with_a_suggestion(kind, name, says):
    with pytest.raises(ConfigError, match=says):
        kind.parse(name)


@pytest.mark.parametrize(("overflow", "value"), [("WRAP", -7.0), ("wrap", -7.0), ("SAT", 7.0)])
def test_a_quantizer_takes_modes_by_name(overflow, value):
    assert fixed_point(NUMPY, 9.2, 1, 3, 0, round_mode="rnd", overflow_mode=overflow) == value
    with pytest.raises(ConfigError, match="overflow"):
        fixed_point(NUMPY, 9.2, 1, 3, 0, round_mode="RND", overflow_mode="WARP")
