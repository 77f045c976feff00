"""The rule for tables: hls4ml has one table for a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hgq_core.graph.ops import Lookup

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_hw.hls4ml.legal._legalizer import Legalizer

__all__ = ["lookup"]

_MOST_TABLES = 256


def lookup(op: Lookup, legal: Legalizer, x: str) -> str:
    """Elements with the same table and format are brought together."""
    shape = legal.node.shape
    formats, index = op.formats.broadcast_to(shape), np.broadcast_to(op.index, shape)
    keys = np.stack([part.ravel() for part in (index, formats.k, formats.i, formats.f)])
    groups, member = np.unique(keys, axis=1, return_inverse=True)
    member = member.ravel()
    if groups.shape[1] > _MOST_TABLES:
        remedy = "share the table between elements (heterogeneous_axis=() for its input quantizer)"
        if op.table_idxs is not None:
            remedy = "use da4ml, which has a table for each edge, or a smaller layer"
        raise legal.refused(f"has {groups.shape[1]} different tables, expected at most {_MOST_TABLES}", remedy)
    if groups.shape[1] == 1:
        return _one_table(op, legal, x, groups[:, 0])
    flat = legal.flat(x)
    places = [np.flatnonzero(member == g) for g in range(groups.shape[1])]
    parts = [_one_table(op, legal, legal.take(flat, 0, place), groups[:, g]) for g, place in enumerate(places)]
    joined = legal.concatenate(parts, 0)
    return legal.reshape(legal.take(joined, 0, np.argsort(np.concatenate(places))), shape)


def _one_table(op: Lookup, legal: Legalizer, x: str, key: NDArray[np.int64]) -> str:
    """A Lookup with the table and format ``key = (index, k, i, f)`` for every element."""
    shape = legal.shape(x)
    table = op.tables[key[0]]
    if len(table) == 1:  # the input has no bits
        value = float(np.ldexp(float(table[0]), -op.fraction))
        return legal.affine(x, np.zeros(shape), np.full(shape, value))
    formats = type(op.formats).of(*(np.full(shape, part) for part in key[1:]))
    return legal.add(Lookup(formats, (table,), op.fraction, np.zeros(shape, dtype=np.int64)), x)
