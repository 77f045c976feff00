"""Transposed convolution in public Keras operations, the same on every backend."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keras import ops

if TYPE_CHECKING:
    from hgq_core.linear import Convolve

__all__ = ["transposed"]


def transposed(x: Any, kernel: Any, op: Convolve) -> Any:
    """A transposed convolution of ``(batch, *spatial, channels)``, see `hgq_core.linear.Convolve`.

    Keras has it without groups, which are convolutions of their own here, and TensorFlow on a processor without
    dilation, for which zeros stand between the taps of the kernel. What Keras cuts away differs; it is cut here.
    """
    if op.groups > 1:
        return _by_group(x, kernel, op)
    for axis, dilation in enumerate(op.dilation):
        kernel = _spread(kernel, axis, dilation)
    y = ops.conv_transpose(
        x, ops.swapaxes(kernel, -1, -2), strides=op.strides, padding="valid", data_format="channels_last"
    )
    sizes = zip(x.shape[1:-1], kernel.shape, op.strides, op.pads, strict=False)
    cut = [slice(before, (n - 1) * stride + taps - after) for n, taps, stride, (before, after) in sizes]
    return y[(slice(None), *cut)]


def _by_group(x: Any, kernel: Any, op: Convolve) -> Any:
    inputs, outputs = x.shape[-1] // op.groups, kernel.shape[-1] // op.groups
    alone = replace(op, groups=1)
    parts = [
        transposed(x[..., n * inputs : (n + 1) * inputs], kernel[..., n * outputs : (n + 1) * outputs], alone)
        for n in range(op.groups)
    ]
    return ops.concatenate(parts, axis=-1)


def _spread(kernel: Any, axis: int, dilation: int) -> Any:
    """The kernel with ``dilation - 1`` zeros between neighbours along an axis."""
    if dilation == 1 or kernel.shape[axis] == 1:
        return kernel
    shape = list(kernel.shape)
    split = ops.reshape(kernel, (*shape[: axis + 1], 1, *shape[axis + 1 :]))
    padded = ops.pad(split, [(0, dilation - 1) if n == axis + 1 else (0, 0) for n in range(len(shape) + 1)])
    merged = ops.reshape(padded, (*shape[:axis], shape[axis] * dilation, *shape[axis + 1 :]))
    return merged[(*[slice(None)] * axis, slice(0, (shape[axis] - 1) * dilation + 1))]
