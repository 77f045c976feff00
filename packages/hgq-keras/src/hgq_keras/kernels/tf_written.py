"""A place where XLA under TensorFlow ends a loop and begins another one.

It fuses small arrays, powers of two of the widths and quantized biases, into each loop over the data that reads them,
and so computes them once for every row, unless the last operation on them is a division, which it never repeats.
TensorFlow has no public way to ask for it. Quantized data end with a division as they are.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["written"]


def written(*tensors: Any) -> tuple[Any, ...]:
    """The same tensors, divided by a 1 that the compiler does not know to be one."""
    first = tf.reshape(tensors[0], (-1,))[0]
    one = tf.where(tf.math.is_nan(first), 2 * tf.ones_like(first), tf.ones_like(first))
    return tuple(tensor / one for tensor in tensors)
