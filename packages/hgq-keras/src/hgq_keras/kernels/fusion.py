"""A hint to the compiler about what to compute once, where Keras runs on JAX.

XLA on CPU fuses every chain of elementwise operations into the loop that reads its result. For numbers that all rows
share (powers of two from widths, a quantized bias) that repeats the chain for every element of the data.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = ["once"]


def once(*tensors: Any) -> tuple[Any, ...]:
    """The same small tensors, of one shape, computed before the loops that read them; exact for finite numbers.

    XLA does not fuse a reduction into a loop that reads its elements more than once, so they go through one: each
    becomes ``1 * tensor + 0 * (the others)``.
    """
    if keras.backend.backend() != "jax":
        return tensors
    number = len(tensors)
    stacked = ops.stack([*tensors, tensors[0]] if number == 1 else tensors)
    chosen = np.eye(number, stacked.shape[0], dtype="float32").reshape((number, -1) + (1,) * (len(stacked.shape) - 1))
    results = ops.sum(stacked * ops.cast(chosen, stacked.dtype), axis=1)
    return tuple(results[n] for n in range(number))
