"""A table that is known by its entries alone, as a function that training can go through."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_core.graph.ops import Lookup
    from hgq_core.ops import Ops

__all__ = ["FixedTable", "between_entries"]


@dataclass(frozen=True, slots=True, eq=False)
class FixedTable:
    """The function of a Lookup: its entries where they are, straight lines between them, its ends beyond them.

    At every number that the input had when the table was made it is the entry, exactly. Its derivative is the finite
    difference to the next entry, and 0 beyond the ends; so an input of other widths has a function too, and training
    goes through. The entries are not trained.

    Attributes:
        entries: numbers of all tables one behind the other, each in ascending order of its input.
        start: where the table of each element begins; of no shape where all elements have one.
        last: number of its last entry, counted from there.
        lowest: the input of its first one, in steps.
        scale: steps per 1, ``2**f``.

    >>> from hgq_core.formats import Formats
    >>> from hgq_core.graph.ops import Lookup
    >>> from hgq_core.ops import NUMPY
    >>> square = Lookup(Formats.of([0], [2], [0]), (np.array([0, 1, 4, 9]),), 0, np.array([0]))
    >>> FixedTable.of(square)(NUMPY, np.array([[2.0], [2.5], [7.0]])).ravel()
    array([4. , 6.5, 9. ])
    """

    entries: NDArray[np.float64]
    start: NDArray[np.int64]
    last: NDArray[np.float64]
    lowest: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, lookup: Lookup) -> FixedTable:
        """The function of a Lookup."""
        k, width, index = lookup.formats.k, lookup.formats.width, lookup.index
        negative = np.where((k > 0) & (width > 0), 2 ** np.maximum(width - 1, 0), 0)
        rows = np.stack([part.ravel() for part in (index, negative, width, lookup.formats.f)])
        if rows.shape[1] and np.all(rows == rows[:, :1]):
            index, negative, width, f = (np.reshape(row[0], ()) for row in rows)
        else:
            f = lookup.formats.f
        # Tables have the entries of inputs from 0 first; one may serve inputs with a sign and without.
        kinds, number = np.unique(np.stack([index.ravel(), negative.ravel()]), axis=1, return_inverse=True)
        parts = [np.roll(lookup.tables[table], half) for table, half in kinds.T]
        starts = np.cumsum([0, *map(len, parts)])[:-1]
        last, first, scale = np.ldexp(1.0, width) - 1.0, -negative.astype(np.float64), np.ldexp(1.0, f)
        return cls(
            np.ldexp(np.concatenate([np.zeros(0), *parts]), -lookup.fraction),
            starts[number.ravel()].reshape(index.shape),
            *map(np.asarray, (last, first, scale)),
        )

    @property
    def each(self) -> bool:
        """Whether elements have functions of their own."""
        return bool(self.start.ndim)

    def __call__(self, ops: Ops, x: Any) -> Any:  # noqa: ARG002 (every function of a table is called so)
        return between_entries(x, self)


@singledispatch
def between_entries(x: Any, table: FixedTable) -> Any:
    """What a `FixedTable` gives for x; an array library registers its own: ``between_entries.register``."""
    message = f"{type(table).__name__}: cannot take a {type(x).__name__}: register it with between_entries.register"
    raise TypeError(message)


@between_entries.register
def _(x: np.ndarray, table: FixedTable) -> np.ndarray:
    place = np.clip(x * table.scale - table.lowest, 0.0, table.last)
    below = np.clip(np.floor(place), 0.0, np.maximum(table.last - 1.0, 0.0))
    number = table.start + below.astype(np.int64)
    first = table.entries[number]
    second = table.entries[number + (table.last > 0)]
    result: np.ndarray = first + (second - first) * (place - below)
    return result
