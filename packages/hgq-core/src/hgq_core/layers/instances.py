"""How many identical instances of an operation are built in hardware."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from hgq_core.errors import ConfigError

__all__ = ["check_factor", "parallel_share"]


def parallel_share(factor: int, instances: int) -> float:
    """``pf / n``, the part of n identical instances that is built; -1 builds all.

    Raises:
        ConfigError: a factor that is neither -1 nor 1 to n.

    >>> parallel_share(-1, 36), parallel_share(6, 36)
    (1.0, 0.16666666666666666)
    """
    check_factor(factor)
    if factor == -1:
        return 1.0
    if not 1 <= factor <= max(instances, 1):
        message = f"parallelization_factor: received {factor}, expected -1 or 1 to {instances}, the number of instances"
        raise ConfigError(message)
    return factor / max(instances, 1)


def check_factor(factor: Any) -> None:
    """Raise ConfigError for a parallelization factor that no number of instances could have."""
    if isinstance(factor, bool) or not isinstance(factor, Integral) or (factor < 1 and factor != -1):
        message = f"parallelization_factor: received {factor!r}, expected -1 for all instances, or how many, from 1"
        raise ConfigError(message)
