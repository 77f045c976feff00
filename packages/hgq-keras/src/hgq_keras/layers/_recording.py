"""Which quantized layers a model calls, and how often."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import keras

__all__ = ["record", "recording"]

_SEEN: ContextVar[list[Any] | None] = ContextVar("seen", default=None)


@contextmanager
def recording() -> Iterator[list[Any]]:
    """Inside the block the list grows by every quantized layer that is called, once for each call."""
    seen: list[Any] = []
    token = _SEEN.set(seen)
    try:
        yield seen
    finally:
        _SEEN.reset(token)


def record(layer: keras.Layer) -> None:
    """Note that a layer is called, where somebody is recording."""
    seen = _SEEN.get()
    if seen is not None:
        seen.append(layer)
