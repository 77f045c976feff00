"""Operations that move numbers, or leave them as they are, as nodes of the Graph; see `_operations`."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hgq_core.graph import ops as op
from hgq_torch._operations import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_torch._operations import Recording

__all__ = ["TABLE"]

TABLE = Table()


# --- the same values ------------------------------------------------------------------------------------------------


@TABLE.node_of("alias", "clone", "detach", "lift_fresh", "positive", "contiguous")
def _same(r: Recording, _y: Tensor, x: Tensor, *, memory_format: Any = None) -> str:  # noqa: ARG001
    return r.name(x)


@TABLE.node_of("_to_copy")
def _converted(r: Recording, y: Tensor, x: Tensor, **_how: Any) -> str | None:
    """A type that holds every number of the other one."""
    small = (torch.bool, torch.uint8, torch.int8, torch.int16)
    wide = (torch.float32, torch.float64)
    exact = y.dtype is x.dtype or (x.dtype in small and y.dtype in wide)
    exact |= x.is_floating_point() and torch.promote_types(x.dtype, y.dtype) is y.dtype
    return r.name(x) if exact else None


# --- moves ------------------------------------------------------------------------------------------------------------


@TABLE.node_of("view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze", "unsqueeze")
def _reshaped(r: Recording, y: Tensor, x: Tensor, *_how: Any) -> str | None:
    if not y.shape or y.shape[0] != x.shape[0] or y.dtype is not x.dtype:
        return None
    return r.add(op.Reshape(tuple(y.shape[1:])), r.name(x))


@TABLE.node_of("permute")
def _permuted(r: Recording, _y: Tensor, x: Tensor, dims: Sequence[int]) -> str | None:
    axes = [d % x.ndim for d in dims]
    return r.add(op.Transpose(tuple(a - 1 for a in axes[1:])), r.name(x)) if axes[0] == 0 else None


@TABLE.node_of("transpose")
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


@TABLE.node_of("slice")
def _sliced(
    r: Recording, y: Tensor, x: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> str | None:
    dim %= x.ndim
    if dim == 0:
        return r.name(x) if (start or 0) == 0 and step == 1 and y.shape == x.shape else None
    first, last, step = slice(start, end, step).indices(x.shape[dim])
    return _cut(r, x, dim, first, max(first, last), step)


@TABLE.node_of("select")
def _selected(r: Recording, y: Tensor, x: Tensor, dim: int, index: int) -> str | None:
    dim %= x.ndim
    if dim == 0:
        return None
    index %= x.shape[dim]
    return r.add(op.Reshape(tuple(y.shape[1:])), _cut(r, x, dim, index, index + 1))


@TABLE.node_of("split", "split_with_sizes")
def _split(r: Recording, y: Sequence[Tensor], x: Tensor, _sizes: Any, dim: int = 0) -> list[str] | None:
    dim %= x.ndim
    if dim == 0:
        return None
    ends = np.cumsum([part.shape[dim] for part in y])
    return [_cut(r, x, dim, int(b) - part.shape[dim], int(b)) for part, b in zip(y, ends, strict=True)]


@TABLE.node_of("unbind")
def _unbound(r: Recording, y: Sequence[Tensor], x: Tensor, dim: int = 0) -> list[str] | None:
    parts = [_selected(r, part, x, dim, n) for n, part in enumerate(y)]
    return None if None in parts else [part for part in parts if part]


@TABLE.node_of("cat")
def _joined(r: Recording, _y: Tensor, parts: Sequence[Tensor], dim: int = 0) -> str | None:
    dim %= parts[0].ndim
    return r.add(op.Concatenate(dim - 1), *(r.name(x) for x in parts)) if dim else None


@TABLE.node_of("stack")
def _stacked(r: Recording, y: Tensor, parts: Sequence[Tensor], dim: int = 0) -> str | None:
    dim %= y.ndim
    one = (*y.shape[1:dim], 1, *y.shape[dim + 1 :])
    return r.add(op.Concatenate(dim - 1), *(r.add(op.Reshape(one), r.name(x)) for x in parts)) if dim else None


@TABLE.node_of("index_select")
def _taken(r: Recording, _y: Tensor, x: Tensor, dim: int, index: Tensor) -> str | None:
    dim %= x.ndim
    picked = index.cpu().numpy().astype(np.int64) % x.shape[dim]
    return r.add(op.Gather(picked, dim - 1), r.name(x)) if dim else None


@TABLE.node_of("index")
def _indexed(r: Recording, y: Tensor, x: Tensor, indices: Sequence[Tensor | None]) -> str | None:
    given = [n for n, index in enumerate(indices) if index is not None]
    index = indices[given[0]]
    if given == [0] or index is None or index.dtype is torch.bool:
        return None
    if len(given) == 1 and index.ndim == 1:
        return _taken(r, y, x, given[0], index)
    return moved(r, x, lambda labels: labels[tuple(slice(None) if i is None else i for i in indices)])


@TABLE.node_of("expand")
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


@TABLE.node_of("constant_pad_nd")
def _padded(r: Recording, _y: Tensor, x: Tensor, pad: Sequence[int], value: float = 0.0) -> str | None:
    pairs = [(pad[n], pad[n + 1]) for n in range(0, len(pad), 2)]
    axes = [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1]
    if value != 0 or axes[0] != (0, 0) or min(n for pair in axes for n in pair) < 0:
        return None
    return r.add(op.Pad(tuple(axes[1:])), r.name(x))
