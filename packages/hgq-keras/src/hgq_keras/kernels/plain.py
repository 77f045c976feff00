"""The reductions in plain Keras operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_keras.ops import KERAS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["sums"]


def sums(function: Callable[..., tuple[Any, ...]], arrays: Sequence[Any], axes: tuple[int, ...]) -> tuple[Any, ...]:
    """Sums over ``axes`` of what ``function`` gives, with those axes kept."""
    results = function(*arrays)
    return tuple(KERAS.sum(r, axes) for r in results) if axes else results
