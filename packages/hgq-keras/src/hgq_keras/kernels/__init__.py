"""Sums over the batch of what is computed element by element: where the backward pass of a quantizer spends its time.

``sums(function, arrays, axes)``: ``function(*arrays)`` gives a tuple of arrays; their sums over ``axes``, kept with
size 1. ``function`` is elementwise over arrays that all have the batch axis; widths are closed over.
"""

import keras

if keras.backend.backend() == "jax":
    from hgq_keras.kernels.jax_blocks import sums
else:
    from hgq_keras.kernels.plain import sums

__all__ = ["sums"]
