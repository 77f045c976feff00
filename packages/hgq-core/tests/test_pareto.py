import itertools
import random
from math import nan

import pytest

from hgq_core.errors import ConfigError, DataError
from hgq_core.pareto import ParetoFront


def front_of(points):
    front = ParetoFront({"cost": -1, "score": +1})
    for number, (cost, score) in enumerate(points):
        front.add({"cost": cost, "score": score}, payload=number)
    return [(p.metrics["cost"], p.metrics["score"]) for p in front]


def test_dominated_points_go_strictly_and_weakly():
    assert front_of([(5, 0.5), (4, 0.6)]) == [(4, 0.6)]
    assert front_of([(5, 0.5), (5, 0.6)]) == [(5, 0.6)]
    assert front_of([(5, 0.6), (5, 0.5)]) == [(5, 0.6)]
    assert front_of([(5, 0.5), (4, 0.5)]) == [(4, 0.5)]


def test_of_equal_points_the_first_stays():
    front = ParetoFront({"cost": -1})
    assert front.add({"cost": 1}, "first")
    assert not front.add({"cost": 1}, "second")
    assert [point.payload for point in front] == ["first"]


def test_iteration_is_in_the_order_of_the_first_metric():
    assert front_of([(9, 0.9), (1, 0.1), (5, 0.5)]) == [(1, 0.1), (5, 0.5), (9, 0.9)]


def test_dropped_names_what_the_last_point_removed():
    front = ParetoFront({"cost": -1, "score": +1})
    front.add({"cost": 5, "score": 5}, "a")
    front.add({"cost": 4, "score": 4}, "b")
    front.add({"cost": 1, "score": 9}, "c")
    assert {point.payload for point in front.dropped} == {"a", "b"}
    front.add({"cost": 9, "score": 1}, "d")
    assert front.dropped == ()


def test_any_order_of_points_gives_the_front_by_definition():
    rng = random.Random(0)
    points = [(rng.randrange(6), rng.randrange(6)) for _ in range(30)]
    expected = sorted(
        {(c, s) for c, s in points if not any(c2 <= c and s2 >= s and (c2, s2) != (c, s) for c2, s2 in points)}
    )
    for order in itertools.islice(itertools.permutations(points), 5):
        assert front_of(order) == expected
    rng.shuffle(points)
    assert front_of(points) == expected


def test_more_metrics_than_the_front_knows_are_left_out():
    front = ParetoFront({"cost": -1})
    assert front.add({"cost": 1, "loss": nan})
    assert [dict(point.metrics) for point in front] == [{"cost": 1}]


def test_bad_input_is_refused():
    with pytest.raises(ConfigError, match="at least one metric"):
        ParetoFront({})
    with pytest.raises(ConfigError, match="expected \\+1"):
        ParetoFront({"cost": 0})
    front = ParetoFront({"cost": -1, "score": 1})
    with pytest.raises(ConfigError, match=r"lacks \['score'\]"):
        front.add({"cost": 1})
    with pytest.raises(DataError, match="NaN"):
        front.add({"cost": 1, "score": nan})
    assert len(front) == 0
