"""The verbs of `hgq_core.ops.Ops` in public Keras operations; they run on TensorFlow, JAX and PyTorch."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from hgq_core.errors import UnsupportedError
from hgq_core.linear import explicit_pads, windows
from hgq_core.ops import EMPTY
from hgq_keras._transposed import transposed
from hgq_keras.kernels import einsum, relu

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from hgq_core.linear import Convolve, Pool
    from hgq_core.ops import Comparison, Ops

__all__ = ["KERAS", "KerasOps", "cast", "read"]

_BIAS, _MANTISSA = 127, 23  # of float32

_COMPARISONS: Mapping[Comparison, Callable[[Any, Any], Any]] = {
    "<": ops.less,
    "<=": ops.less_equal,
    "==": ops.equal,
    "!=": ops.not_equal,
    ">=": ops.greater_equal,
    ">": ops.greater,
}


class KerasOps:
    """Keras' verbs. Powers of two and exponents come from the bits of float32, so they are exact and cheap."""

    def floor(self, x: Any) -> Any:
        return ops.floor(x)

    def ceil(self, x: Any) -> Any:
        return ops.ceil(x)

    def rint(self, x: Any) -> Any:
        return ops.round(x)

    def is_negative(self, x: Any) -> Any:
        """Read from the bits: TensorFlow and XLA compare denormal numbers as if they were 0."""
        kind = "int64" if keras.backend.standardize_dtype(x.dtype) == "float64" else "int32"
        bits = ops.view(ops.convert_to_tensor(x), dtype=kind)
        negative_zero = -(1 << 63) if kind == "int64" else -(1 << 31)
        return ops.logical_and(bits < 0, bits > negative_zero)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return ops.where(condition, a, b)

    def minimum(self, a: Any, b: Any) -> Any:
        return ops.minimum(a, b)

    def maximum(self, a: Any, b: Any) -> Any:
        return ops.maximum(a, b)

    def clip(self, x: Any, low: float, high: float) -> Any:
        return ops.clip(x, low, high)

    def relu(self, x: Any) -> Any:
        return relu(x)

    def compare(self, kind: Comparison, a: Any, b: Any) -> Any:
        return _COMPARISONS[kind](a, b)

    def exp(self, x: Any) -> Any:
        return ops.exp(x)

    def rsqrt(self, x: Any) -> Any:
        return ops.rsqrt(x)

    def significand_bits(self, x: Any) -> int:
        return 52 if keras.backend.standardize_dtype(x.dtype) == "float64" else 23

    def power_of_two(self, n: Any) -> Any:
        exponent = ops.cast(ops.clip(n, -126, 127), "int32") + _BIAS
        power = ops.view(ops.left_shift(exponent, _MANTISSA), dtype="float32")
        return ops.cast(power, n.dtype)

    def ceil_log2(self, x: Any) -> Any:
        bits = ops.view(ops.cast(x, "float32"), dtype="int32")
        mantissa = ops.bitwise_and(bits, (1 << _MANTISSA) - 1)
        exponent = ops.cast(ops.right_shift(bits, _MANTISSA) - _BIAS, x.dtype)
        return ops.where(x > 0, ops.where(mantissa > 0, exponent + 1.0, exponent), ops.full_like(x, EMPTY))

    def stop_gradient(self, x: Any) -> Any:
        return ops.stop_gradient(x)

    def sum(self, x: Any, axes: tuple[int, ...]) -> Any:
        return ops.sum(x, axis=axes, keepdims=True)

    def amax(self, x: Any, axes: tuple[int, ...]) -> Any:
        return ops.amax(x, axis=axes, keepdims=True)

    def amin(self, x: Any, axes: tuple[int, ...]) -> Any:
        return ops.amin(x, axis=axes, keepdims=True)

    def constant(self, values: NDArray[np.float64]) -> Any:
        return ops.convert_to_tensor(values, dtype=keras.config.floatx())

    def reshape(self, x: Any, shape: Sequence[int]) -> Any:
        return ops.reshape(x, tuple(shape))

    def broadcast_to(self, x: Any, shape: Sequence[int | None]) -> Any:
        """A size that is unknown, None, stays what it is."""
        if tuple(x.shape) == tuple(shape):
            return x
        return ops.broadcast_to(x, tuple(ops.shape(x)[a] if n is None else n for a, n in enumerate(shape)))

    def pad(self, x: Any, pads: Sequence[tuple[int, int]]) -> Any:
        return ops.pad(x, tuple(pads))

    def transpose(self, x: Any, axes: Sequence[int]) -> Any:
        return ops.transpose(x, tuple(axes))

    def concatenate(self, parts: Sequence[Any], axis: int) -> Any:
        return ops.concatenate(list(parts), axis=axis)

    def stack(self, parts: Sequence[Any], axis: int) -> Any:
        return ops.stack(list(parts), axis=axis)

    def take(self, x: Any, indices: NDArray[np.int64], axis: int) -> Any:
        return ops.take(x, indices, axis=axis)

    def repeat(self, x: Any, times: int, axis: int) -> Any:
        return ops.repeat(x, times, axis=axis)

    def einsum(self, equation: str, a: Any, b: Any) -> Any:
        return einsum(equation, a, b)

    def convolve(self, x: Any, kernel: Any, op: Convolve) -> Any:
        if op.transposed:
            return transposed(x, kernel, op)
        spatial = x.shape[1:-1]
        padding = "valid"
        if any(map(any, op.pads)):
            if op.pads == explicit_pads("same", spatial, kernel.shape[:-2], op.strides, op.dilation):
                padding = "same"
            else:
                x = ops.pad(x, ((0, 0), *op.pads, (0, 0)))
        return ops.conv(
            x, kernel, strides=op.strides, padding=padding, data_format="channels_last", dilation_rate=op.dilation
        )

    def pool(self, x: Any, op: Pool) -> Any:
        """Sums are added tap by tap: dividing by the window and multiplying again would round."""
        if op.kind == "max":
            padded = any(map(any, op.pads))
            same = explicit_pads("same", x.shape[1:-1], op.window, op.strides, [1] * len(op.window))
            if padded and op.pads != same:
                message = f"max pooling with pads {op.pads}: expected none, or those of 'same' padding, {same}"
                raise UnsupportedError(message)
            return ops.max_pool(x, op.window, op.strides, "same" if padded else "valid", "channels_last")
        out = [int(n or 1) for n in op.shape((None, *x.shape[1:]))[1:-1]]
        if any(map(any, op.pads)):
            x = ops.pad(x, ((0, 0), *op.pads, (0, 0)))
        taps = windows(op.window, op.strides, [1] * len(op.window), out)
        return reduce(ops.add, [x[(slice(None), *slices)] for _, slices in taps])


def _verbs() -> Any:
    if keras.backend.backend() != "torch":
        return KerasOps()
    from hgq_keras.kernels.torch_verbs import TorchVerbs

    return TorchVerbs(KerasOps())


KERAS: Ops = _verbs()
"""The Keras verbs; they have no state."""


def read(variable: Any) -> Any:
    """The value of a Keras variable as a tensor. TensorFlow would hand out the variable; adding 0 reads it."""
    match keras.backend.backend():
        case "torch" if isinstance(variable, keras.Variable):
            return variable.value
        case "tensorflow":
            return ops.convert_to_tensor(variable) + 0.0
    return ops.convert_to_tensor(variable)


def cast(x: Any, dtype: str) -> Any:
    """`keras.ops.cast`, on PyTorch where there is something to do: there it takes as long as an operation."""
    direct = keras.backend.backend() == "torch" and ops.is_tensor(x)
    return x if direct and keras.backend.standardize_dtype(x.dtype) == dtype else ops.cast(x, dtype)
