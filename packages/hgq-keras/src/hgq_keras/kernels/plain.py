"""The same in plain Keras operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras import ops

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["chained", "einsum", "relu", "residual_sum", "sums", "without_history", "written", "written_data"]


def relu(x: Any) -> Any:
    """``max(x, 0)``."""
    return ops.relu(x)


def sums(function: Callable[..., tuple[Any, ...]], arrays: Sequence[Any], axes: tuple[int, ...]) -> tuple[Any, ...]:
    """Sums over ``axes`` of what ``function`` gives, with those axes kept."""
    results = function(*arrays)
    return tuple(ops.sum(r, axis=axes, keepdims=True) for r in results) if axes else results


def residual_sum(g: Any, x: Any, xq: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """The sum of ``g (x - xq)`` over ``axes``, kept with size 1, and ``g``."""
    product = g * (x - xq)
    return (ops.sum(product, axis=axes, keepdims=True) if axes else product), g


def einsum(equation: str, a: Any, b: Any) -> Any:
    """The sum of products; a matrix product where it is one, which costs the frameworks less to prepare."""
    return ops.matmul(a, b) if equation == "bi,io->bo" else ops.einsum(equation, a, b)


def written(*tensors: Any) -> tuple[Any, ...]:
    """The same tensors."""
    return tensors


def written_data(x: Any) -> Any:
    """The same tensor."""
    return x


def without_history(result: Any) -> Any:
    """The same tensor."""
    return result


chained: Any = None
"""No chain is joined: XLA fuses the steps itself."""
