import pytest

from hgq_core.errors import ConfigError
from hgq_core.modes import Overflow, Round


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
