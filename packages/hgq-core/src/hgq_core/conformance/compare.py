"""Comparisons that raise, and say the call, how much differs, where first, the value and the expectation there.

Every helper is proved in `meta` to fail on a planted error. None returns anything, so that no answer can be dropped,
and none accepts an empty array, of which everything is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hgq_core.graph import Graph
from hgq_core.graph.save import content_hash

__all__ = ["MismatchError", "between", "close", "decreasing", "differs", "equal", "no_gradient", "same_graph"]


class MismatchError(AssertionError):
    """Two results differ."""


def _arrays(got: Any, expected: Any, call: str) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64; expectations may be fractions, which must have an exact float64."""
    __tracebackhide__ = True
    if got is None:
        message = f"{call}: nothing was returned, expected an array of shape {np.shape(expected)}"
        raise MismatchError(message)
    wanted = np.asarray(expected)
    floats = wanted.astype(np.float64)
    if wanted.dtype == object and any(a != b for a, b in zip(floats.ravel().tolist(), wanted.ravel(), strict=True)):
        message = f"{call}: the case is at fault, an expected value needs more than 53 bits"
        raise MismatchError(message)
    given = np.asarray(got)
    if given.dtype.kind not in "fiub":
        message = f"{call}: received an array of type {given.dtype}, expected numbers"
        raise MismatchError(message)
    given = given.astype(np.float64)
    if given.shape != floats.shape:
        message = f"{call}: received shape {given.shape}, expected {floats.shape}"
        raise MismatchError(message)
    if not floats.size:
        message = f"{call}: an empty comparison proves nothing"
        raise MismatchError(message)
    return given, floats


def _report(wrong: np.ndarray, got: np.ndarray, expected: np.ndarray, call: str, inputs: Any) -> None:
    __tracebackhide__ = True
    if not wrong.any():
        return
    where = tuple(int(n) for n in np.argwhere(wrong)[0])
    source = ""
    if inputs is not None and np.shape(inputs) == wrong.shape:
        source = f" for the input {np.asarray(inputs)[where]!r}"
    message = (
        f"{call}: {int(wrong.sum())} of {wrong.size} values differ, first at {where}: "
        f"received {got[where]!r}, expected {expected[where]!r}{source}"
    )
    raise MismatchError(message)


def equal(got: Any, expected: Any, call: str, inputs: Any = None) -> None:
    """Raise `MismatchError` unless both have one shape and are equal; NaN equals nothing, -0.0 equals 0.0."""
    __tracebackhide__ = True
    given, floats = _arrays(got, expected, call)
    _report(~(given == floats), given, floats, call, inputs)


def close(got: Any, expected: Any, call: str, inputs: Any = None, *, scale: Any = 0.0, relative: float = 2e-5) -> None:
    """Raise `MismatchError` unless ``|got - expected| <= relative * max(|expected|, scale)`` everywhere.

    ``scale`` is the sum of the magnitudes of what was added up, for sums that may cancel.
    """
    __tracebackhide__ = True
    given, floats = _arrays(got, expected, call)
    allowed = relative * np.maximum(np.abs(floats), np.asarray(scale, dtype=np.float64))
    _report(~(np.abs(given - floats) <= allowed), given, floats, call, inputs)


def between(got: Any, bounds: tuple[Any, Any], call: str, *, relative: float = 2e-5) -> None:
    """Raise `MismatchError` unless ``low <= got <= high`` everywhere, but for rounding of the larger of both.

    Args:
        got: what was returned.
        bounds: two arrays of its shape, in any order from element to element.
        call: what was called.
        relative: see `close`.
    """
    __tracebackhide__ = True
    given, first = _arrays(got, bounds[0], call)
    _, second = _arrays(got, bounds[1], call)
    low, high = np.minimum(first, second), np.maximum(first, second)
    allowed = relative * np.maximum(np.abs(low), np.abs(high))
    nearest = np.where(given < low, low, high)
    _report(~((given >= low - allowed) & (given <= high + allowed)), given, nearest, call, None)


def no_gradient(got: Any, call: str) -> None:
    """Raise `MismatchError` unless a gradient is absent or 0 everywhere."""
    __tracebackhide__ = True
    if got is not None:
        equal(got, np.zeros(np.shape(got)), call)


def differs(got: Any, before: Any, call: str) -> None:
    """Raise `MismatchError` if nothing has changed, or something is NaN."""
    __tracebackhide__ = True
    given, floats = _arrays(got, before, call)
    if np.isnan(given).any() or np.array_equal(given, floats):
        message = f"{call}: received {given.ravel()[:8]}..., expected a finite value other than {floats.ravel()[:8]}..."
        raise MismatchError(message)


def decreasing(losses: Sequence[float], call: str, factor: float = 0.9) -> None:
    """Raise `MismatchError` unless the mean of the last quarter is below ``factor`` times the first value."""
    __tracebackhide__ = True
    values = [float(loss) for loss in losses]
    if len(values) < 4 or not np.all(np.isfinite(values)):
        message = f"{call}: received {values}, expected at least four finite losses"
        raise MismatchError(message)
    last = float(np.mean(values[-(len(values) // 4) :]))
    if not last < factor * values[0]:
        message = f"{call}: the loss went from {values[0]:.6g} to {last:.6g}, expected below {factor * values[0]:.6g}"
        raise MismatchError(message)


def same_graph(got: Graph, expected: Graph, call: str) -> None:
    """Raise `MismatchError` unless two graphs are equal in all that is stored; say which node differs first."""
    __tracebackhide__ = True
    if content_hash(got) == content_hash(expected):
        return
    detail = f"{len(got)} and {len(expected)} nodes, outputs {got.outputs} and {expected.outputs}"
    for ours, theirs in zip(got, expected, strict=False):
        if repr(ours) != repr(theirs):
            detail = f"first different node: received {ours}, expected {theirs}"
            break
    message = f"{call}: the graphs differ; {detail}"
    raise MismatchError(message)
