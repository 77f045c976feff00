"""Axes as users count them, and as declarations do."""

from __future__ import annotations

from hgq_core.errors import ConfigError

__all__ = ["inner_axis"]


def inner_axis(axis: int, rank: int, argument: str) -> int:
    """An axis as frameworks count it, the batch axis being 0, as declarations count: without the batch axis, from 0.

    Args:
        axis: what was given, from 0 or from the end.
        rank: the number of axes of the data, the batch axis included.
        argument: its name, for the error.

    Raises:
        ConfigError: the batch axis, or an axis that data of this rank do not have.

    >>> inner_axis(1, 3, "axis"), inner_axis(-1, 3, "axis")
    (0, 1)
    """
    if not -rank <= axis < rank or axis % rank == 0:
        message = f"{argument}: received {axis}, expected an axis of data with {rank} axes, and not the batch axis, 0"
        raise ConfigError(message)
    return axis % rank - 1
