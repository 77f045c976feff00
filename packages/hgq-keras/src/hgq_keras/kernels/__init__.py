"""Where the training step spends its time, in the form that is fastest on the framework that Keras runs on.

``sums(function, arrays, axes)``: ``function(*arrays)`` gives a tuple of arrays; their sums over ``axes``, kept with
size 1. ``function`` is elementwise over arrays that all have the batch axis; widths are closed over.

``residual_sum(g, x, xq, axes)``: the sum of ``g (x - xq)`` over ``axes``, kept with size 1, and ``g``, which is not
overwritten before.

``einsum(equation, a, b)``: a sum of products of two tensors, with an explicit output.

``relu(x)``: ``max(x, 0)``.

``chained(chain, x, kernel, bias)``: a `hgq_core.layers.patterns.Chain` of quantized tensors at once; None where its
steps are left to a compiler.

``on_grid(ops, x, grid, wrap=...)``: `hgq_core.quantize.on_grid`, without a gradient of its own: what a quantizer does
with a grid that was computed once.

``without_history(result)``: a result of an operation with its own gradient, for this gradient to hold.

``written(*tensors)``: the same tensors, of the shape of widths, computed once and not in every loop that reads them.

``written_data(x)``: the same tensor of quantized data, likewise.
"""

import keras

if keras.backend.backend() == "jax":
    from hgq_core.quantize import on_grid
    from hgq_keras.kernels.jax_blocks import residual_sum, sums
    from hgq_keras.kernels.jax_linear import einsum, relu
    from hgq_keras.kernels.jax_written import written, written_data
    from hgq_keras.kernels.plain import chained, without_history
elif keras.backend.backend() == "torch":
    from hgq_keras.kernels.plain import einsum, relu, sums, written, written_data
    from hgq_keras.kernels.torch_blocks import residual_sum, without_history
    from hgq_keras.kernels.torch_chains import chained
    from hgq_keras.kernels.torch_grid import on_grid
else:
    from hgq_core.quantize import on_grid
    from hgq_keras.kernels.plain import chained, einsum, relu, residual_sum, sums, without_history, written_data
    from hgq_keras.kernels.tf_written import written

__all__ = [
    "chained",
    "einsum",
    "on_grid",
    "relu",
    "residual_sum",
    "sums",
    "without_history",
    "written",
    "written_data",
]
