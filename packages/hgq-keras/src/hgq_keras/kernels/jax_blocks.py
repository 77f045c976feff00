"""The reductions on JAX, over blocks of rows that stay in the cache.

XLA on CPU fuses an elementwise chain into the reduction that reads it and then runs one scalar loop for each column; a
loop over blocks with an accumulator of the shape of a block stays a vector loop and reads the data once. On an
accelerator the plain reduction is the faster one.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from hgq_keras.kernels import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["residual_sum", "sums"]

_BLOCK = 2**13
"""Elements of a block."""


def _rows(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    """Rows of a block, 0 if blocks do not pay: few rows, widths along the batch, or an accelerator."""
    if 0 not in axes or jax.default_backend() != "cpu":
        return 0
    rows = max(_BLOCK // max(prod(shape[1:]), 1), 1)
    return rows if shape[0] >= 2 * rows else 0


def _block(x: Any, number: Any, rows: int) -> Any:
    return jax.lax.dynamic_slice_in_dim(x, number * rows, rows, 0)


def sums(function: Callable[..., tuple[Any, ...]], arrays: Sequence[Any], axes: tuple[int, ...]) -> tuple[Any, ...]:
    """Sums over ``axes`` of what ``function`` gives, with those axes kept."""
    shape = arrays[0].shape
    rows = _rows(shape, axes)
    if not rows:
        return plain.sums(function, arrays, axes)
    blocks = shape[0] // rows

    def step(number: Any, totals: tuple[Any, ...]) -> tuple[Any, ...]:
        results = function(*(_block(a, number, rows) for a in arrays))
        return tuple(total + result for total, result in zip(totals, results, strict=True))

    outputs = jax.eval_shape(function, *(jax.ShapeDtypeStruct((rows, *shape[1:]), a.dtype) for a in arrays))
    start = tuple(jnp.zeros(out.shape, out.dtype) for out in outputs)
    totals = [jnp.sum(t, axes, keepdims=True) for t in jax.lax.fori_loop(0, blocks, step, start)]
    if shape[0] > blocks * rows:
        rest = function(*(a[blocks * rows :] for a in arrays))
        totals = [total + jnp.sum(r, axes, keepdims=True) for total, r in zip(totals, rest, strict=True)]
    return tuple(totals)


def residual_sum(g: Any, x: Any, xq: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """The sum of ``g (x - xq)`` over ``axes``, kept with size 1, and ``g`` for what is computed after it.

    Without an order XLA may compute the next gradient while the sum still needs ``g``; with it, in the memory of ``g``.
    """
    total = plain.residual_sum(g, x, xq, axes)
    return jax.lax.optimization_barrier(total) if axes and jax.default_backend() == "cpu" else total
