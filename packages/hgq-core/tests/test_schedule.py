import pytest

from hgq_core.errors import ConfigError
from hgq_core.schedule import PiecewiseSchedule

USERS = [[0, 0.0, "constant"], [10, 0.0, "constant"], [30, 1.0e-6, "linear"], [60, 1.0e-9, "log"]]


def test_the_users_list_means_segments_that_start_at_their_knot():
    beta = PiecewiseSchedule(USERS)
    assert [beta(epoch) for epoch in (0, 9, 10, 29, 29.999)] == [0.0] * 5
    assert beta(30) == 1e-6
    assert beta(45) == pytest.approx((1e-6 + 1e-9) / 2)
    assert beta(60) == beta(1000) == 1e-9


def test_log_interpolates_the_exponent():
    beta = PiecewiseSchedule([(0, 1e-8, "log"), (4, 1e-4, "constant")])
    assert [beta(epoch) for epoch in range(5)] == pytest.approx([1e-8, 1e-7, 1e-6, 1e-5, 1e-4])


def test_before_the_first_and_after_the_last_knot_the_value_holds():
    beta = PiecewiseSchedule([(5, 1.0, "linear"), (10, 3.0, "linear")])
    assert (beta(0), beta(-3), beta(5), beta(10), beta(99)) == (1.0, 1.0, 1.0, 3.0, 3.0)


def test_the_last_knot_may_be_zero_and_log_because_nothing_follows():
    assert PiecewiseSchedule([(0, 0.0, "log")])(7) == 0.0


@pytest.mark.parametrize(
    ("intervals", "says"),
    [
        ([], "no knots"),
        ([(0, 0.0, "log"), (1, 1.0, "constant")], "from 0.0 to 1.0, and 0 has no logarithm; use 'linear'"),
        ([(0, 1.0, "log"), (1, 0.0, "constant")], "0 has no logarithm"),
        ([(5, 1.0, "linear"), (1, 2.0, "linear")], "must rise: received 1.0 after 5.0"),
        ([(5, 1.0, "linear"), (5, 2.0, "linear")], "must rise"),
        ([(0, 1.0, "cubic")], "received 'cubic', expected one of"),
        ([(0, -1.0, "linear")], "expected finite numbers and beta >= 0"),
        ([(0, float("nan"), "linear")], "expected finite numbers"),
        ([(0, "much", "linear")], "expected two numbers"),
        ([(0, 1.0)], "expected \\(epoch, beta, kind\\)"),
        (["abc"], "expected \\(epoch, beta, kind\\)"),
    ],
)
def test_bad_knots_are_refused(intervals, says):
    with pytest.raises(ConfigError, match=says):
        PiecewiseSchedule(intervals)


def test_repr_can_be_read_back():
    beta = PiecewiseSchedule(USERS)
    assert eval(repr(beta)).intervals == beta.intervals
