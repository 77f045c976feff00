"""Hints to the compiler about what to compute once and what to keep, where Keras runs on JAX.

XLA on CPU fuses every chain of elementwise operations into the loop that reads its result. For numbers that all rows
share (powers of two from widths, a quantized bias) that repeats the chain for every element of the data; for a sum over
the batch it reads every array of the chain again.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = ["KEEPS", "kept", "once"]

KEEPS = keras.backend.backend() == "jax"
"""Whether the forward pass writes out what the backward pass reads."""


def once(*tensors: Any) -> tuple[Any, ...]:
    """The same small tensors, of one shape, computed before the loops that read them; exact for finite numbers.

    XLA does not fuse a reduction into a loop that reads its elements more than once, so they go through one: each
    becomes ``1 * tensor + 0 * (the others)``.
    """
    if not KEEPS:
        return tensors
    number = len(tensors)
    stacked = ops.stack([*tensors, tensors[0]] if number == 1 else tensors)
    chosen = np.eye(number, stacked.shape[0], dtype="float32").reshape((number, -1) + (1,) * (len(stacked.shape) - 1))
    results = ops.sum(stacked * ops.cast(chosen, stacked.dtype), axis=1)
    return tuple(results[n] for n in range(number))


def kept(x: Any) -> Any:
    """The same tensor, written out where it is computed; 0 for NaN.

    XLA moves a product or a difference into the reduction that reads it, but not a selection.
    """
    return ops.where(ops.isnan(x), ops.zeros_like(x), x)
