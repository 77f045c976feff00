"""Arithmetic and comparisons as nodes of the Graph; see `_operations`."""

from __future__ import annotations

from math import frexp, inf
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hgq_core.errors import UnsupportedError
from hgq_core.graph import ops as op
from hgq_core.layers import WITHOUT_NODES, rectifier, unfit, written
from hgq_torch._operations import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.layers import Exact
    from hgq_torch._operations import Recording

__all__ = ["TABLE"]

TABLE = Table()


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


@TABLE.node_of("div")
def _divided(r: Recording, y: Tensor, x: Any, divisor: Any) -> str | None:
    """A power of two moves the binary point; other quotients are not fixed-point numbers."""
    if isinstance(divisor, Tensor) or frexp(abs(divisor))[0] != 0.5:
        return None
    return r.add(op.Multiply(), r.name(x), r.operand(1.0 / divisor, y))


@TABLE.node_of("neg")
def _negated(r: Recording, _y: Tensor, x: Tensor) -> str:
    return r.add(op.Negate(), r.name(x))


@TABLE.node_of("abs")
def _magnitude(r: Recording, _y: Tensor, x: Tensor) -> str:
    return r.add(op.Maximum(), r.name(x), r.add(op.Negate(), r.name(x)))


@TABLE.node_of("relu")
def _relu(r: Recording, _y: Tensor, x: Tensor) -> str:
    return r.add(op.Relu(), r.name(x))


def _exact(r: Recording, activation: Exact, x: Tensor) -> str:
    """The nodes of an activation that needs no table."""
    return written(activation, r.name(x), r.add, lambda number: r.add(op.Constant.of(number)))


@TABLE.node_of("leaky_relu")
def _leaky(r: Recording, _y: Tensor, x: Tensor, negative_slope: float = 0.01) -> str:
    if reason := unfit(negative_slope):
        message = (
            f"{r.place('leaky_relu')} has no exact product in float32 where its {reason}; or use a table, "
            "hgq_torch.nn.QLUT(function)"
        )
        raise UnsupportedError(message)
    return _exact(r, rectifier(negative_slope), x)


@TABLE.node_of("threshold")
def _threshold(r: Recording, y: Tensor, x: Tensor, threshold: float, value: float) -> str:
    if not value:
        return _exact(r, rectifier(threshold=threshold), x)
    above = r.add(op.Compare(">"), r.name(x), r.operand(threshold, y))
    return r.add(op.Select(), above, r.name(x), r.operand(value, y))


def _refused(kind: str) -> Callable[..., str]:
    """A function of straight lines that no exact nodes describe."""

    def function(r: Recording, _y: Tensor, _x: Tensor) -> str:
        message = (
            f"{r.place(kind)} has no exact hardware: {WITHOUT_NODES[kind]}; use a table, hgq_torch.nn.QLUT(function), "
            "or the hard sigmoid of slope 1/4 that a quantizer is: hgq_torch.Quantizer(**hgq_torch.HardSigmoidConfig())"
        )
        raise UnsupportedError(message)

    return function


TABLE.update({kind: _refused(kind) for kind in ("hardsigmoid", "hardswish")})


@TABLE.node_of("hardtanh")
def _hard_tanh(r: Recording, y: Tensor, x: Tensor, low: float = -1.0, high: float = 1.0) -> str | None:
    return _clipped(r, y, x, low, high)


@TABLE.node_of("clamp", "clip")
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


@TABLE.node_of("clamp_min")
def _at_least(r: Recording, y: Tensor, x: Tensor, low: Any) -> str | None:
    return _clipped(r, y, x, low, None)


@TABLE.node_of("clamp_max")
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


TABLE.update(sum=_reduced("sum"), amax=_reduced("max"), amin=_reduced("min"), max=_reduced("max"), min=_reduced("min"))


@TABLE.node_of("mean")
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


@TABLE.node_of("where")
def _chosen(r: Recording, y: Tensor, condition: Tensor, a: Any, b: Any) -> str | None:
    if not y.is_floating_point():
        return None
    return r.add(op.Select(), r.operand(condition, y), r.operand(a, y), r.operand(b, y))
