"""A place where XLA on CPU ends a loop and begins another one.

It fuses every chain of elementwise operations into each loop that reads its result, and so repeats the chain there: the
powers of two of a width once for every row of the data, and in a network with residual sums all quantizers since the
input in the loop behind each sum, which doubles the work with each of them. Its own barrier is taken away before it
fuses; a call that it must not inline is not.
"""

from __future__ import annotations

from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata

__all__ = ["written", "written_data"]


@jax.jit
def _same(*tensors: Any) -> tuple[Any, ...]:
    return tensors


def written(*tensors: Any) -> tuple[Any, ...]:
    """The same tensors, written to memory before anything reads them where a compiler would compute them repeatedly."""
    if jax.default_backend() != "cpu" or not any(isinstance(tensor, jax.core.Tracer) for tensor in tensors):
        return tensors
    with set_xla_metadata(inlineable="false"):
        result: tuple[Any, ...] = _same(*tensors)
    return result


def written_data(x: Any) -> Any:
    """The same tensor, likewise."""
    return written(x)[0]
