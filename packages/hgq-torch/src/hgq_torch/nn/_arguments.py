"""What arguments of layers may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hgq_core.errors import ConfigError
from hgq_core.layers import check_factor as check_instances
from hgq_core.numbers import epsilon_of, fraction

__all__ = ["averaging", "check_factor", "data_dims", "per_axis", "positive"]


def positive(size: Any, name: str) -> int:
    """A whole number of at least 1; raises ConfigError otherwise."""
    if isinstance(size, bool) or not hasattr(size, "__index__") or size < 1:
        message = f"{name}: received {size!r}, expected a whole number of at least 1"
        raise ConfigError(message)
    return int(size)


def per_axis(sizes: Any, rank: int, name: str, *, least: int = 1) -> tuple[int, ...]:
    """One number for each spatial axis, from a number or as many; raises ConfigError otherwise.

    >>> per_axis(3, 2, "kernel_size")
    (3, 3)
    """
    given = tuple(sizes) if isinstance(sizes, Sequence) and not isinstance(sizes, str) else (sizes,) * rank
    whole = all(hasattr(n, "__index__") and not isinstance(n, bool) and n >= least for n in given)
    if len(given) != rank or not whole:
        expected = "a whole number" if rank == 1 else f"a whole number, or {rank} of them"
        message = f"{name}: received {sizes!r}, expected {expected}, of at least {least}"
        raise ConfigError(message)
    return tuple(int(n) for n in given)


def check_factor(factor: int) -> int:
    """A parallelization factor that some number of instances could have; raises ConfigError for others."""
    check_instances(factor)
    return int(factor)


def data_dims(dim: Any) -> tuple[int, ...]:
    """The axes of data that were given, one or several; raises ConfigError for anything else, the batch axis too.

    >>> data_dims(-1), data_dims([1, 2])
    ((-1,), (1, 2))
    """
    given = tuple(dim) if isinstance(dim, Sequence) and not isinstance(dim, str) else (dim,)
    if not given or any(isinstance(n, bool) or not hasattr(n, "__index__") or n == 0 for n in given):
        message = f"dim: received {dim!r}, expected axes of the data, and not the batch axis, 0"
        raise ConfigError(message)
    return tuple(int(n) for n in given)


def averaging(eps: float, momentum: float | None) -> tuple[float, float | None]:
    """Eps and momentum of a batch normalisation; raises ConfigError for numbers that no average has."""
    return epsilon_of(eps, "eps"), None if momentum is None else fraction(momentum, "momentum")
