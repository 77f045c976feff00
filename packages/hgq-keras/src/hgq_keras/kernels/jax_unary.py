"""A function of one number on JAX, compiled alike wherever it is called."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compiled"]


@partial(jax.jit, static_argnums=0)
def compiled(function: Callable[..., Any], x: Any, *weights: Any) -> Any:
    """``function(x, *weights)`` as one compiled piece, also in eager code.

    XLA contracts products and sums of a piece into fused multiply-adds, which round once; operation by operation they
    round twice. The barriers keep the neighbours of the function from becoming a part of the piece.
    """
    return jax.lax.optimization_barrier(function(*jax.lax.optimization_barrier((x, *weights))))
