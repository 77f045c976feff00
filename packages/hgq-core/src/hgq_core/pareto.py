"""The Pareto front: what is left of many trained models once every one that another beats is gone."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ParetoFront", "ParetoPoint"]


@dataclass(frozen=True, slots=True)
class ParetoPoint:
    """One point of a front.

    Attributes:
        metrics: its numbers by name.
        payload: whatever belongs to it: an epoch, a path.
    """

    metrics: Mapping[str, float]
    payload: Any = None


class ParetoFront:
    """Points that no other point dominates, in rising order of the first metric.

    A point is dominated if another one is at least as good in every metric and better in one (weakly dominated points
    go too). Of two points that are equal in every metric the first one stays.

    Args:
        sides: for each metric +1 if larger is better, -1 if smaller is.

    Raises:
        ConfigError: no metrics, or a side that is neither +1 nor -1.

    >>> front = ParetoFront({"ebops": -1, "accuracy": +1})
    >>> [front.add({"ebops": e, "accuracy": a}) for e, a in ((900, 0.9), (500, 0.8), (900, 0.8), (400, 0.8))]
    [True, True, False, True]
    >>> [point.metrics["ebops"] for point in front]
    [400, 900]
    """

    def __init__(self, sides: Mapping[str, int]) -> None:
        if not sides or any(side not in (1, -1) for side in sides.values()):
            message = f"sides: received {dict(sides)}, expected +1 (larger is better) or -1 for at least one metric"
            raise ConfigError(message)
        self.sides = dict(sides)
        self.dropped: tuple[ParetoPoint, ...] = ()
        """Points that the last `add` removed."""
        self._points: list[ParetoPoint] = []

    def add(self, metrics: Mapping[str, float], payload: Any = None) -> bool:
        """Take a point in, and drop those that it dominates; False if it is dominated or already there.

        Raises:
            ConfigError: a metric is missing.
            DataError: a metric is NaN.
        """
        chosen = self._chosen(metrics)
        self.dropped = ()
        if self._is_beaten(chosen):
            return False
        self.dropped = tuple(point for point in self._points if self._as_good(chosen, point.metrics))
        self._points = [point for point in self._points if not self._as_good(chosen, point.metrics)]
        insort(self._points, ParetoPoint(chosen, payload), key=lambda point: tuple(point.metrics.values()))
        return True

    def accepts(self, metrics: Mapping[str, float]) -> bool:
        """Whether `add` would take this point in; nothing changes.

        Raises:
            ConfigError: a metric is missing.
            DataError: a metric is NaN.

        >>> front = ParetoFront({"ebops": -1})
        >>> front.add({"ebops": 500}), front.accepts({"ebops": 500}), front.accepts({"ebops": 499})
        (True, False, True)
        """
        return not self._is_beaten(self._chosen(metrics))

    def _chosen(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The metrics of this front."""
        missing = [name for name in self.sides if name not in metrics]
        if missing:
            message = f"a point lacks {missing}; received {sorted(metrics)}, expected {list(self.sides)}"
            raise ConfigError(message)
        chosen = {name: metrics[name] for name in self.sides}
        if any(isnan(value) for value in chosen.values()):
            message = f"a point with NaN cannot be compared: received {chosen}"
            raise DataError(message)
        return chosen

    def _is_beaten(self, metrics: Mapping[str, float]) -> bool:
        """Whether a point of the front is at least as good in every metric."""
        return any(self._as_good(point.metrics, metrics) for point in self._points)

    def _as_good(self, a: Mapping[str, float], b: Mapping[str, float]) -> bool:
        """True if a is at least as good as b in every metric."""
        return all(side * a[name] >= side * b[name] for name, side in self.sides.items())

    def __iter__(self) -> Iterator[ParetoPoint]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)
