"""Operations that only move numbers, as nodes of the Graph, read from what they do to numbered elements.

So one rule holds for slices, flips, tiles, crops and every other move: the operation itself is run on the numbers 1, 2,
3, ... in place of the data, and says where each of them went. A 0 is a zero that was padded.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from hgq_core.errors import UnsupportedError
from hgq_core.graph import ops as op

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hgq_core.graph.emit import Emitter

    Codes = NDArray[np.int64]

__all__ = ["emit_moves"]

_MOST = 2**24
"""float32 tells whole numbers apart up to here."""


def emit_moves(
    function: Callable[[list[Any]], Sequence[Any]], sources: Sequence[str], emitter: Emitter, rows: int | None
) -> list[str]:
    """Append what ``function`` does to its operands; returns the edge of each of its results.

    Args:
        function: from tensors ``(batch, *shape)``, one for each source, to the results.
        sources: edges.
        emitter: of the layer.
        rows: the batch size that the model declares, None for any.

    Raises:
        UnsupportedError: it moves numbers from one row of the batch to another, or changes them.
    """
    count = rows or 2
    shapes = [emitter.shape(name) for name in sources]
    total = sum(prod(shape) for shape in shapes)
    if total * count >= _MOST:
        message = (
            f"layer {emitter.label!r} moves {total} numbers, expected fewer than {_MOST // count}: move smaller parts"
        )
        raise UnsupportedError(message)
    numbers = np.arange(1, count * total + 1).reshape(count, total)
    parts = np.split(numbers, np.cumsum([prod(shape) for shape in shapes])[:-1], axis=1)
    operands = [part.reshape(count, *shape).astype(np.float32) for part, shape in zip(parts, shapes, strict=True)]
    results, negated = (_run(function, numbered, emitter.label) for numbered in (operands, [-x for x in operands]))
    steps = _Steps(emitter, list(sources))
    return [
        steps.emit(_codes(y, opposite, count, total, emitter.label))
        for y, opposite in zip(results, negated, strict=True)
    ]


def _run(
    function: Callable[[list[Any]], Sequence[Any]], operands: list[NDArray[Any]], label: str
) -> list[NDArray[Any]]:
    try:
        results = function([ops.convert_to_tensor(x) for x in operands])
    except Exception as error:  # what a backend raises for sizes that do not fit
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        message = (
            f"layer {label!r} cannot be run on a batch of {len(operands[0])} ({reason}); if it fixes the size of the "
            "batch axis, leave that axis out, with keras.ops.repeat or keras.ops.tile instead of broadcast_to"
        )
        raise UnsupportedError(message) from error
    return [np.asarray(ops.convert_to_numpy(y)) for y in results]


def _codes(moved: NDArray[Any], negated: NDArray[Any], count: int, total: int, label: str) -> Codes:
    """The numbers of row 0; every other row must have moved alike, and no other number may have come in."""
    if moved.shape[:1] != (count,):
        message = (
            f"layer {label!r} moves the batch axis: of {count} rows it makes a result of shape {moved.shape}; hardware "
            "computes each row alone: keep axis 0"
        )
        raise UnsupportedError(message)
    codes = moved.astype(np.int64)
    own = np.where(codes > 0, codes - total * np.arange(count).reshape(-1, *[1] * (codes.ndim - 1)), 0)
    if not np.array_equal(moved, codes) or not np.array_equal(negated, -moved) or np.any(own != own[:1]):
        message = (
            f"layer {label!r} mixes the rows of a batch, or fills in a number other than 0; hardware computes each row "
            "alone: keep axis 0, and add constants with keras.ops.add"
        )
        raise UnsupportedError(message)
    if not own[0].any():
        message = f"layer {label!r} keeps none of its numbers; leave it out"
        raise UnsupportedError(message)
    return own[0]


class _Steps:
    """Appends the nodes that put numbered elements where they belong, as few and as plain ones as there are."""

    def __init__(self, emitter: Emitter, sources: list[str]) -> None:
        self._emitter, self._sources = emitter, sources
        self._shapes = [emitter.shape(name) for name in sources]
        self._ends = np.cumsum([prod(shape) for shape in self._shapes])

    def emit(self, codes: Codes) -> str:
        """The edge that holds these elements: 0 for a zero, else from 1 through all sources."""
        if not codes.all():
            return self._padded(codes)
        owners = np.searchsorted(self._ends, codes)
        first = int(owners.flat[0])
        if np.all(owners == first):
            offset = int(self._ends[first - 1]) if first else 0
            return self._one(self._sources[first], codes - 1 - offset)
        for axis in range(codes.ndim):
            along = np.moveaxis(owners, axis, 0).reshape(codes.shape[axis], -1)
            if np.all(along == along[:, :1]):
                cuts = np.flatnonzero(np.diff(along[:, 0])) + 1
                return self._add(op.Concatenate(axis), *map(self.emit, np.split(codes, cuts, axis)))
        return self._scattered(codes)

    def _padded(self, codes: Codes) -> str:
        """Zeros around a box; zeros in between are taken like data."""
        places = [
            np.flatnonzero(codes.any(axis=tuple(a for a in range(codes.ndim) if a != n))) for n in range(codes.ndim)
        ]
        box = tuple(slice(int(p[0]), int(p[-1]) + 1) for p in places)
        inside = codes[box]
        if not inside.all():
            return self._scattered(codes)
        pads = tuple((s.start, n - s.stop) for s, n in zip(box, codes.shape, strict=True))
        return self._add(op.Pad(pads), self.emit(inside))

    def _scattered(self, codes: Codes) -> str:
        """Any order at all: every element by its number, behind one zero."""
        flat = [self._reshaped(name, (prod(self._emitter.shape(name)),)) for name in self._sources]
        joined = self._add(op.Concatenate(0), *flat) if len(flat) > 1 else flat[0]
        if not codes.all():
            joined = self._add(op.Pad(((1, 0),)), joined)
            return self._reshaped(self._add(op.Gather(codes.ravel(), 0), joined), codes.shape)
        return self._reshaped(self._add(op.Gather(codes.ravel() - 1, 0), joined), codes.shape)

    def _one(self, source: str, order: Codes) -> str:
        """Elements of one source by their index in row-major order."""
        shape = self._emitter.shape(source)
        mine = np.arange(prod(shape)).reshape(shape)
        if np.array_equal(order.ravel(), mine.ravel()):
            return self._reshaped(source, order.shape)
        if order.ndim == len(shape) and (axes := _permutation(order, mine)):
            return self._add(op.Transpose(axes), source)
        if order.ndim >= len(shape) and _broadcasts(order, mine):
            return self._add(op.Broadcast(tuple(order.shape)), source)
        for chosen in _selections(order, mine):
            if np.array_equal(mine[np.ix_(*chosen)].ravel(), order.ravel()):
                for axis, indices in enumerate(chosen):
                    source = self._selected(source, axis, indices)
                return self._reshaped(source, order.shape)
        flat = self._reshaped(source, (mine.size,))
        return self._reshaped(self._add(op.Gather(order.ravel(), 0), flat), order.shape)

    def _selected(self, source: str, axis: int, indices: Codes) -> str:
        shape = self._emitter.shape(source)
        if np.array_equal(indices, np.arange(shape[axis])):
            return source
        step = int(indices[1] - indices[0]) if len(indices) > 1 else 1
        if step > 0 and np.all(np.diff(indices) == step):
            start, stop, steps = [0] * len(shape), list(shape), [1] * len(shape)
            start[axis], stop[axis], steps[axis] = int(indices[0]), int(indices[-1]) + 1, step
            return self._add(op.Slice(tuple(start), tuple(stop), tuple(steps)), source)
        times = len(indices) // shape[axis]
        if np.array_equal(indices, np.repeat(np.arange(shape[axis]), times)):
            return self._add(op.Repeat(times, axis), source)
        return self._add(op.Gather(np.asarray(indices, np.int64), axis), source)

    def _reshaped(self, source: str, shape: tuple[int, ...]) -> str:
        return source if self._emitter.shape(source) == tuple(shape) else self._add(op.Reshape(tuple(shape)), source)

    def _add(self, operation: op.Operation, *inputs: str) -> str:
        return self._emitter.add(operation, *inputs)


def _permutation(order: Codes, mine: Codes) -> tuple[int, ...] | None:
    """The axes by which ``mine`` is transposed to ``order``; None if it is not."""
    strides = {int(mine.take(1, a).flat[0]): a for a in range(mine.ndim) if mine.shape[a] > 1}
    steps = [int(order.take(1, a).flat[0] - order.flat[0]) if order.shape[a] > 1 else 0 for a in range(order.ndim)]
    if not set(steps) - {0} <= set(strides):
        return None
    short = iter(a for a in range(mine.ndim) if mine.shape[a] == 1)
    axes = tuple(strides[step] if step else next(short, -1) for step in steps)
    if sorted(axes) != list(range(mine.ndim)) or not np.array_equal(mine.transpose(axes), order):
        return None
    return axes


def _broadcasts(order: Codes, mine: Codes) -> bool:
    ends = zip(mine.shape[::-1], order.shape[::-1], strict=False)
    return all(a in (1, b) for a, b in ends) and np.array_equal(np.broadcast_to(mine, order.shape), order)


def _selections(order: Codes, mine: Codes) -> list[list[Codes]]:
    """Which indices of each axis may have been taken: without repeats, or, for as many axes, those along each axis."""
    coordinates = np.unravel_index(order.ravel(), mine.shape)
    once = []
    for along in coordinates:
        _, first = np.unique(along, return_index=True)
        once.append(along[np.sort(first)])
    candidates = [once] if prod(len(indices) for indices in once) == order.size else []
    if order.ndim == mine.ndim:
        grid = [c.reshape(order.shape) for c in coordinates]
        candidates.append([np.moveaxis(c, a, 0).reshape(order.shape[a], -1)[:, 0] for a, c in enumerate(grid)])
    return candidates
