"""The price of a bit over the epochs: a schedule that is known beforehand. Plain Python, for every trainer."""

from __future__ import annotations

from bisect import bisect_right
from math import isfinite
from typing import TYPE_CHECKING

from hgq_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PiecewiseSchedule"]

KINDS = ("constant", "linear", "log")


class PiecewiseSchedule:
    """beta as a function of the epoch, given by knots ``(epoch, beta, kind)``.

    A knot says where a segment starts, the value there, and how the value moves to the next knot: ``constant`` stays
    until the next knot and jumps there, ``linear`` and ``log`` interpolate. Before the first knot its value holds,
    after the last one its value holds, whatever its kind.

    Args:
        intervals: the knots, with rising epochs.

    Raises:
        ConfigError: no knots, epochs that do not rise, an unknown kind, a value that is negative or not finite, or a
            ``log`` segment from or to 0.

    >>> beta = PiecewiseSchedule([(0, 0.0, "linear"), (10, 1e-6, "log"), (30, 1e-4, "constant")])
    >>> [f"{beta(epoch):.0e}" for epoch in (0, 5, 10, 20, 30, 99)]
    ['0e+00', '5e-07', '1e-06', '1e-05', '1e-04', '1e-04']
    """

    def __init__(self, intervals: Sequence[Sequence[float | str]]) -> None:
        self.intervals = tuple(_knot(entry) for entry in intervals)
        if not self.intervals:
            message = "a schedule received no knots; expected at least one (epoch, beta, kind)"
            raise ConfigError(message)
        for (start, value, kind), (stop, following, _) in zip(self.intervals, self.intervals[1:], strict=False):
            if stop <= start:
                message = (
                    f"the knots' epochs must rise: received {stop} after {start}; sort them and drop repeated ones"
                )
                raise ConfigError(message)
            if kind == "log" and (value == 0 or following == 0):
                message = (
                    f"the log segment from epoch {start} to {stop} goes from {value} to {following}, and 0 has no "
                    f"logarithm; use 'linear' or 'constant' at epoch {start}, or a small value such as 1e-9 for 0"
                )
                raise ConfigError(message)

    def __call__(self, epoch: float) -> float:
        """beta at this epoch; epochs may be fractions."""
        position = bisect_right([start for start, _, _ in self.intervals], epoch) - 1
        start, value, kind = self.intervals[max(position, 0)]
        if position < 0 or position == len(self.intervals) - 1 or kind == "constant":
            return value
        stop, following, _ = self.intervals[position + 1]
        part = (epoch - start) / (stop - start)
        if kind == "linear":
            return value + (following - value) * part
        return float(value * (following / value) ** part)

    def __repr__(self) -> str:
        return f"PiecewiseSchedule({[list(knot) for knot in self.intervals]})"


def _knot(entry: Sequence[float | str]) -> tuple[float, float, str]:
    """``(epoch, beta, kind)`` of one entry, checked."""
    if isinstance(entry, str) or len(entry) != 3:
        message = f"a knot: received {entry!r}, expected (epoch, beta, kind)"
        raise ConfigError(message)
    epoch, beta, kind = entry
    if not isinstance(kind, str) or kind not in KINDS:
        message = f"kind of the segment at epoch {epoch!r}: received {kind!r}, expected one of {KINDS}"
        raise ConfigError(message)
    try:
        start, value = float(epoch), float(beta)
    except (TypeError, ValueError) as error:
        message = f"a knot: received epoch {epoch!r} and beta {beta!r}, expected two numbers"
        raise ConfigError(message) from error
    if not isfinite(start) or not isfinite(value) or value < 0:
        message = f"a knot: received epoch {start} and beta {value}, expected finite numbers and beta >= 0"
        raise ConfigError(message)
    return start, value, kind
