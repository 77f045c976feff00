"""Operations of PyTorch as nodes of the Graph: one function each, in the arguments of its operator.

A function gets the recording and the operator's result first. It gives the name of the node, a list of names for an
operator with several results, or None where these arguments have no node: a batch that does not stay on axis 0, above
all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import frexp, inf, prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hgq_core.graph import ops as op

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.graph import GraphBuilder

__all__ = ["SHAPE_ONLY", "TABLE", "VALUES", "Recording"]

SHAPE_ONLY = frozenset(
    [f"{verb}_like" for verb in ("empty", "zeros", "ones", "full", "rand", "randn")]
    + [f"new_{verb}" for verb in ("empty", "zeros", "ones", "full", "empty_strided")]
)
"""What reads the shape of a tensor alone."""
VALUES = frozenset({"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "_unique2", "masked_select"})
"""What takes the values of a tensor out of the run."""

TABLE: dict[str, Callable[..., str | list[str] | None]] = {}
"""The functions by the name of their operator."""


class Recording(ABC):
    """What the functions need of the recorder."""

    builder: GraphBuilder
    batch: int

    @abstractmethod
    def name(self, x: Any) -> str:
        """The node of a tensor."""

    @abstractmethod
    def operand(self, x: Any, like: Tensor) -> str:
        """The node of a tensor, a constant or a number."""

    @abstractmethod
    def add(self, operation: op.Operation, *names: str) -> str:
        """Add a node."""


def _for(*kinds: str) -> Callable[[Any], Any]:
    def register(function: Any) -> Any:
        TABLE.update(dict.fromkeys(kinds, function))
        return function

    return register


# --- the same values ------------------------------------------------------------------------------------------------


@_for("alias", "clone", "detach", "lift_fresh", "positive", "contiguous")
def _same(r: Recording, _y: Tensor, x: Tensor, *, memory_format: Any = None) -> str:  # noqa: ARG001
    return r.name(x)


@_for("_to_copy")
def _converted(r: Recording, y: Tensor, x: Tensor, **_how: Any) -> str | None:
    """A type that holds every number of the other one, or the one that they came from."""
    small = (torch.bool, torch.uint8, torch.int8, torch.int16)
    wide = (torch.float32, torch.float64)
    exact = y.dtype is x.dtype or (x.dtype in small and y.dtype in wide)
    exact |= x.is_floating_point() and torch.promote_types(x.dtype, y.dtype) is y.dtype
    return r.name(x) if exact else None


# --- moves ------------------------------------------------------------------------------------------------------------


@_for("view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze", "unsqueeze")
def _reshaped(r: Recording, y: Tensor, x: Tensor, *how: Any) -> str | None:
    if not y.shape or y.shape[0] != x.shape[0] or y.dtype is not x.dtype:
        return None
    return r.add(op.Reshape(tuple(y.shape[1:])), r.name(x))


@_for("permute")
def _permuted(r: Recording, _y: Tensor, x: Tensor, dims: Sequence[int]) -> str | None:
    axes = [d % x.ndim for d in dims]
    return r.add(op.Transpose(tuple(a - 1 for a in axes[1:])), r.name(x)) if axes[0] == 0 else None


@_for("transpose")
def _transposed(r: Recording, y: Tensor, x: Tensor, dim0: int, dim1: int) -> str | None:
    axes = list(range(x.ndim))
    a, b = dim0 % x.ndim, dim1 % x.ndim
    axes[a], axes[b] = axes[b], axes[a]
    return _permuted(r, y, x, axes)


def _cut(r: Recording, x: Tensor, dim: int, start: int, stop: int, step: int = 1) -> str:
    rank = x.ndim - 1
    starts, stops, steps = [0] * rank, list(x.shape[1:]), [1] * rank
    starts[dim - 1], stops[dim - 1], steps[dim - 1] = start, stop, step
    return r.add(op.Slice(tuple(starts), tuple(stops), tuple(steps)), r.name(x))


@_for("slice")
def _sliced(
    r: Recording, y: Tensor, x: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> str | None:
    dim %= x.ndim
    if dim == 0:
        return r.name(x) if (start or 0) == 0 and step == 1 and y.shape == x.shape else None
    first, last, step = slice(start, end, step).indices(x.shape[dim])
    return _cut(r, x, dim, first, max(first, last), step)


@_for("select")
def _selected(r: Recording, y: Tensor, x: Tensor, dim: int, index: int) -> str | None:
    dim %= x.ndim
    if dim == 0:
        return None
    index %= x.shape[dim]
    return r.add(op.Reshape(tuple(y.shape[1:])), _cut(r, x, dim, index, index + 1))


@_for("split", "split_with_sizes")
def _split(r: Recording, y: Sequence[Tensor], x: Tensor, _sizes: Any, dim: int = 0) -> list[str] | None:
    dim %= x.ndim
    if dim == 0:
        return None
    ends = np.cumsum([part.shape[dim] for part in y])
    return [_cut(r, x, dim, int(b) - part.shape[dim], int(b)) for part, b in zip(y, ends, strict=True)]


@_for("unbind")
def _unbound(r: Recording, y: Sequence[Tensor], x: Tensor, dim: int = 0) -> list[str] | None:
    parts = [_selected(r, part, x, dim, n) for n, part in enumerate(y)]
    return None if None in parts else [part for part in parts if part]


@_for("cat")
def _joined(r: Recording, _y: Tensor, parts: Sequence[Tensor], dim: int = 0) -> str | None:
    dim %= parts[0].ndim
    return r.add(op.Concatenate(dim - 1), *(r.name(x) for x in parts)) if dim else None


@_for("stack")
def _stacked(r: Recording, y: Tensor, parts: Sequence[Tensor], dim: int = 0) -> str | None:
    dim %= y.ndim
    one = (*y.shape[1:dim], 1, *y.shape[dim + 1 :])
    return r.add(op.Concatenate(dim - 1), *(r.add(op.Reshape(one), r.name(x)) for x in parts)) if dim else None


@_for("index_select")
def _taken(r: Recording, _y: Tensor, x: Tensor, dim: int, index: Tensor) -> str | None:
    dim %= x.ndim
    picked = index.cpu().numpy().astype(np.int64) % x.shape[dim]
    return r.add(op.Gather(picked, dim - 1), r.name(x)) if dim else None


@_for("index")
def _indexed(r: Recording, y: Tensor, x: Tensor, indices: Sequence[Tensor | None]) -> str | None:
    given = [n for n, index in enumerate(indices) if index is not None]
    index = indices[given[0]]
    if given == [0] or index is None or index.dtype is torch.bool:
        return None
    if len(given) == 1 and index.ndim == 1:
        return _taken(r, y, x, given[0], index)
    return moved(r, x, lambda labels: labels[tuple(slice(None) if i is None else i for i in indices)])


@_for("expand")
def _expanded(r: Recording, y: Tensor, x: Tensor, _size: Any, *, implicit: bool = False) -> str | None:  # noqa: ARG001
    return r.add(op.Broadcast(tuple(y.shape[1:])), r.name(x)) if y.ndim == x.ndim else None


def moved(r: Recording, x: Tensor, move: Callable[[Tensor], Tensor]) -> str | None:
    """A move of any kind, found by moving the numbers of the elements."""
    labels = torch.arange(x.numel(), dtype=torch.float64).view(x.shape)
    result = move(labels)
    size = prod(x.shape[1:])
    rows = result.reshape(result.shape[0], -1) if result.ndim and result.shape[0] == r.batch else None
    if rows is None or not torch.equal(rows, rows[:1] + size * torch.arange(r.batch, dtype=torch.float64)[:, None]):
        return None
    flat = r.add(op.Reshape((size,)), r.name(x))
    picked = r.add(op.Gather(rows[0].numpy().astype(np.int64), 0), flat)
    return r.add(op.Reshape(tuple(result.shape[1:])), picked)


def _register_moves() -> None:
    def recorded(kind: str) -> Callable[..., str | None]:
        def function(r: Recording, _y: Tensor, x: Tensor, *how: Any, **more: Any) -> str | None:
            return moved(r, x, lambda labels: getattr(torch.ops.aten, kind)(labels, *how, **more))

        return function

    pads = [f"{kind}_pad{n}d" for kind in ("reflection", "replication") for n in (1, 2, 3)]
    kinds = ("flip", "roll", "repeat", "diagonal", "unfold", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle")
    TABLE.update({kind: recorded(kind) for kind in (*kinds, *pads)})


_register_moves()


@_for("constant_pad_nd")
def _padded(r: Recording, _y: Tensor, x: Tensor, pad: Sequence[int], value: float = 0.0) -> str | None:
    pairs = [(pad[n], pad[n + 1]) for n in range(0, len(pad), 2)]
    axes = [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1]
    if value != 0 or axes[0] != (0, 0) or min(n for pair in axes for n in pair) < 0:
        return None
    return r.add(op.Pad(tuple(axes[1:])), r.name(x))


# --- arithmetic -------------------------------------------------------------------------------------------------------


def _pair(kind: type[Any], *, turned: bool = False) -> Callable[..., str | None]:
    def function(r: Recording, y: Tensor, a: Any, b: Any, *, alpha: float = 1) -> str | None:
        if alpha != 1 or not y.is_floating_point():
            return None
        a, b = (b, a) if turned else (a, b)
        return r.add(kind(), r.operand(a, y), r.operand(b, y))

    return function


TABLE.update(
    add=_pair(op.Add),
    sub=_pair(op.Subtract),
    rsub=lambda r, y, a, b, alpha=1: _pair(op.Subtract, turned=True)(r, y, a, b, alpha=alpha),
    mul=_pair(op.Multiply),
    maximum=_pair(op.Maximum),
    minimum=_pair(op.Minimum),
)


@_for("div")
def _divided(r: Recording, y: Tensor, x: Any, divisor: Any) -> str | None:
    """A power of two moves the binary point; other quotients are not fixed-point numbers."""
    if isinstance(divisor, Tensor) or frexp(abs(divisor))[0] != 0.5:
        return None
    return r.add(op.Multiply(), r.name(x), r.operand(1.0 / divisor, y))


@_for("neg")
def _negated(r: Recording, _y: Tensor, x: Tensor) -> str:
    return r.add(op.Negate(), r.name(x))


@_for("abs")
def _magnitude(r: Recording, _y: Tensor, x: Tensor) -> str:
    return r.add(op.Maximum(), r.name(x), r.add(op.Negate(), r.name(x)))


@_for("relu")
def _relu(r: Recording, _y: Tensor, x: Tensor) -> str:
    return r.add(op.Relu(), r.name(x))


@_for("clamp", "clip", "hardtanh")
def _clipped(r: Recording, y: Tensor, x: Tensor, low: Any = None, high: Any = None, /, **more: Any) -> str | None:
    low, high = (more.get(name, given) for name, given in (("min", low), ("max", high)))
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        return None
    low, high = -inf if low is None else low, inf if high is None else high
    if high == inf:
        return r.add(op.Relu(), r.name(x)) if low == 0 else r.add(op.Maximum(), r.name(x), r.operand(low, y))
    if low == -inf:
        return r.add(op.Minimum(), r.name(x), r.operand(high, y))
    # PyTorch compares in the type of the data.
    low, high = (float(torch.tensor(n, dtype=y.dtype)) for n in (low, high))
    return r.add(op.Clip(low, high), r.name(x)) if low <= high else None


@_for("clamp_min")
def _at_least(r: Recording, y: Tensor, x: Tensor, low: Any) -> str | None:
    return _clipped(r, y, x, low, None)


@_for("clamp_max")
def _at_most(r: Recording, y: Tensor, x: Tensor, high: Any) -> str | None:
    return _clipped(r, y, x, None, high)


def _reduced(kind: str) -> Callable[..., str | None]:
    def function(
        r: Recording, y: Any, x: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False, **_more: Any
    ) -> str | None:
        value = y if isinstance(y, Tensor) else y[0]
        axes = [dim] if isinstance(dim, int) else list(dim or range(x.ndim))
        over = tuple(sorted(a % x.ndim for a in axes))
        if 0 in over or value.dtype is not x.dtype:
            return None
        return r.add(op.Reduce(kind, tuple(a - 1 for a in over), keepdim), r.name(x))  # type: ignore[arg-type]

    return function


TABLE.update(
    sum=_reduced("sum"), amax=_reduced("max"), amin=_reduced("min"), max=_reduced("max"), min=_reduced("min")
)


@_for("mean")
def _mean(r: Recording, y: Tensor, x: Tensor, dim: Any = None, keepdim: bool = False, **more: Any) -> str | None:
    """A sum times a power of two."""
    count = x.numel() // max(y.numel(), 1)
    total = _reduced("sum")(r, y, x, dim, keepdim, **more)
    if total is None or frexp(count)[0] != 0.5:
        return None
    return r.add(op.Multiply(), total, r.operand(1.0 / count, y))


def _compared(kind: str) -> Callable[..., str | None]:
    def function(r: Recording, _y: Tensor, a: Tensor, b: Any) -> str | None:
        like = a if a.is_floating_point() else b
        if not isinstance(like, Tensor) or not like.is_floating_point():
            return None
        return r.add(op.Compare(kind), r.operand(a, like), r.operand(b, like))  # type: ignore[arg-type]

    return function


TABLE.update(lt=_compared("<"), le=_compared("<="), eq=_compared("=="), ge=_compared(">="), gt=_compared(">"))


@_for("where")
def _chosen(r: Recording, y: Tensor, condition: Tensor, a: Any, b: Any) -> str | None:
    if not y.is_floating_point():
        return None
    return r.add(op.Select(), r.operand(condition, y), r.operand(a, y), r.operand(b, y))
