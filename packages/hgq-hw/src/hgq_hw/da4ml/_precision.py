"""Enough decimal digits for da4ml's interval arithmetic; its default of 28 rounds wide formats silently."""

from __future__ import annotations

from contextlib import contextmanager
from decimal import localcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["exact_decimals"]


@contextmanager
def exact_decimals() -> Iterator[None]:
    """Inside the block decimal numbers have 400 digits: the span of float64 with room for a product."""
    with localcontext() as context:
        context.prec = 400
        yield
