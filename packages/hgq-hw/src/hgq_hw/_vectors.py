"""Test vectors: the inputs on which two descriptions of a model are most likely to differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import ConfigError, DataError, ShapeError
from hgq_core.formats import Formats
from hgq_core.graph import real_tensors
from hgq_core.graph.ops import Input, Quantize
from hgq_hw._models import require_graph

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hgq_core.graph import Graph, Node

__all__ = ["vectors"]


def vectors(
    graph: Graph, data: ArrayLike | tuple[ArrayLike, ...] | None = None, *, seed: int = 0, random: int = 256
) -> tuple[NDArray[np.float64], ...]:
    """Inputs for verification: data, random numbers over the whole format, corners, and numbers outside of it.

    Args:
        graph: a Graph.
        data: calibration data, ``(batch, *shape)``, a tuple if the graph has several inputs.
        seed: of the random numbers.
        random: how many vectors to draw inside the format; half as many are drawn outside.

    Returns:
        One float64 array ``(batch, *shape)`` per input. Corners are lowest, highest, zero and one step around each;
        numbers outside of the format, and between its steps, occur only where the graph itself quantizes them.

    Raises:
        ConfigError: a negative seed or number of vectors.
        DataError: data that is not real numbers, or is empty.
        ShapeError: data of another shape than the inputs.
    """
    require_graph(graph, "vectors")
    if seed < 0 or random < 0:
        message = f"vectors: received seed {seed} and random {random}, expected numbers of at least 0"
        raise ConfigError(message)
    given = () if data is None else data if isinstance(data, tuple) else (data,)
    if given and len(given) != len(graph.inputs):
        message = (
            f"data: received {len(given)} array(s), expected one for each of the graph's {len(graph.inputs)} input(s)"
        )
        raise ShapeError(message)
    rng = np.random.default_rng(seed)
    results = []
    for number, node in enumerate(graph.inputs):
        low, high, step = _ranges(graph, node)
        real = isinstance(node.op, Input) and node.op.formats is None
        parts = [_corners(low, high, step, real=real), _inside(rng, low, high, step, random)]
        if real:
            parts += [_outside(rng, low, high, step, random // 2), _between(rng, low, high, step, random // 2)]
        results.append((np.concatenate(parts), None if not given else _checked(node, given[number])))
    # The same number of rows for every input: short ones start again.
    generated = max(len(part) for part, _ in results)
    rows = [np.take(part, np.arange(generated) % len(part), axis=0) for part, _ in results]
    return tuple(
        part if data is None else np.concatenate([own, part])
        for part, (_, own) in zip(rows, results, strict=True)
        if own is not None or data is None
    )


def _checked(node: Node, data: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(data)
    if array.dtype.kind not in "biuf":
        message = f"data for input {node.name!r}: received an array of {array.dtype}, expected real numbers"
        raise DataError(message)
    if not array.ndim or array.shape[1:] != node.shape:
        expected = f"(batch, {', '.join(map(str, node.shape))})"
        message = f"data for input {node.name!r}: received shape {array.shape}, expected {expected}"
        raise ShapeError(message)
    if not len(array):
        message = f"data for input {node.name!r}: received no vectors, expected at least one; leave data out for none"
        raise DataError(message)
    return array.astype(np.float64)


def _ranges(graph: Graph, node: Node) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Lowest, highest and step of each element: those of the input's format, or of the quantizers that read it."""
    if isinstance(node.op, Input) and node.op.formats is not None:
        return _limits(node.op.formats.broadcast_to(node.shape))
    real = real_tensors(graph)
    readers = [n for n in graph if isinstance(n.op, Quantize) and n.inputs[0] in real]
    own = [n.op.formats for n in readers if isinstance(n.op, Quantize) and n.inputs[0] == node.name]
    if own:
        limits = [_limits(formats.broadcast_to(node.shape)) for formats in own]
    else:
        # Behind moves the elements are elsewhere: the widest range of all serves each.
        every = [n.op.formats for n in readers if isinstance(n.op, Quantize)]
        joined = (
            [np.concatenate([getattr(formats, part).ravel() for formats in every]) for part in "kif"]
            if every
            else [[1], [2], [2]]
        )
        low, high, step = _limits(Formats.of(*joined))
        limits = [(np.full(node.shape, low.min()), np.full(node.shape, high.max()), np.full(node.shape, step.min()))]
    low, high, step = (np.stack(parts) for parts in zip(*limits, strict=True))
    return low.min(axis=0), high.max(axis=0), step.min(axis=0)


def _limits(formats: Formats) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    return formats.lowest, formats.highest, np.where(formats.alive, formats.step, 1.0)


def _corners(
    low: NDArray[np.float64], high: NDArray[np.float64], step: NDArray[np.float64], *, real: bool
) -> NDArray[np.float64]:
    zero = np.zeros_like(low)
    rows = [low, high, zero]
    for row, sign in ((low, 1), (high, -1), (zero, 1), (zero, -1)):
        rows.append(row + sign * step)
    if real:
        rows += [
            low - step,
            high + step,
            low - step / 2,
            high + step / 2,
            step / 2,
            -step / 2,
            2 * low - step,
            2 * high + step,
        ]
        return np.stack(rows)
    return np.stack([np.clip(row, low, high) for row in rows])


def _inside(
    rng: np.random.Generator, low: NDArray[np.float64], high: NDArray[np.float64], step: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    units = rng.integers(np.rint(low / step), np.rint(high / step), size=(count, *low.shape), endpoint=True)
    return np.asarray(units * step)


def _outside(
    rng: np.random.Generator, low: NDArray[np.float64], high: NDArray[np.float64], step: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    reach = 4 * (high - low + step)
    return rng.uniform(low - reach, high + reach, size=(count, *low.shape))


def _between(
    rng: np.random.Generator, low: NDArray[np.float64], high: NDArray[np.float64], step: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Ties, and their neighbours."""
    units = rng.integers(
        2 * np.rint(low / step) - 2, 2 * np.rint(high / step) + 2, size=(count, *low.shape), endpoint=True
    )
    nudge = rng.choice([0.0, 2.0**-12, -(2.0**-12)], size=(count, *low.shape))
    return np.asarray((units / 2 + nudge) * step)
