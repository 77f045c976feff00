"""The verbs that a backend supplies, and the NumPy ones.

Everything numeric in HGQ is written once against `Ops`; arithmetic and comparison operators, ``abs`` and slicing are
taken from the arrays themselves. NumPy's verbs dispatch through ``__array_function__`` and ``__array_ufunc__``, so they
also run on integers, intervals and hardware symbols.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from hgq_core.linear import windows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from hgq_core.linear import Convolve, Pool

__all__ = ["EMPTY", "NUMPY", "Comparison", "NumpyOps", "Ops", "tree"]

Comparison = Literal["<", "<=", "==", "!=", ">=", ">"]
"""How two numbers can compare."""

EMPTY = -32.0
"""What ``ceil_log2`` answers for 0: fewer integer bits than any value that occurs needs."""


class Ops(Protocol):
    """What the shared code asks of an array library; every argument and result is an array of that library."""

    def floor(self, x: Any, /) -> Any:
        """Largest whole number not above x."""

    def ceil(self, x: Any, /) -> Any:
        """Smallest whole number not below x."""

    def rint(self, x: Any, /) -> Any:
        """Nearest whole number, ties to even."""

    def is_negative(self, x: Any, /) -> Any:
        """Whether x is below 0; denormal numbers too, which some frameworks take for 0 in comparisons."""

    def where(self, condition: Any, a: Any, b: Any, /) -> Any:
        """a where the condition holds, else b."""

    def minimum(self, a: Any, b: Any, /) -> Any:
        """Smaller one of each pair."""

    def maximum(self, a: Any, b: Any, /) -> Any:
        """Larger one of each pair."""

    def clip(self, x: Any, low: float, high: float, /) -> Any:
        """``min(max(x, low), high)``."""

    def relu(self, x: Any, /) -> Any:
        """``max(x, 0)``."""

    def compare(self, kind: Comparison, a: Any, b: Any, /) -> Any:
        """Where the comparison holds, as `where` takes it."""

    def exp(self, x: Any, /) -> Any:
        """``e**x``."""

    def rsqrt(self, x: Any, /) -> Any:
        """``1 / sqrt(x)``."""

    def significand_bits(self, x: Any, /) -> int:
        """Bits of a float of this type behind its first one: 23 of float32, 52 of float64."""

    def power_of_two(self, n: Any, /) -> Any:
        """``2**n``, exact for whole n in [-126, 127]."""

    def ceil_log2(self, x: Any, /) -> Any:
        """Smallest whole n with ``2**n >= x``, exact; `EMPTY` where x <= 0."""

    def stop_gradient(self, x: Any, /) -> Any:
        """x, cut from differentiation."""

    def sum(self, x: Any, axes: tuple[int, ...], /) -> Any:
        """Sum over axes, kept with size 1."""

    def amax(self, x: Any, axes: tuple[int, ...], /) -> Any:
        """Maximum over axes, kept with size 1."""

    def amin(self, x: Any, axes: tuple[int, ...], /) -> Any:
        """Minimum over axes, kept with size 1."""

    def constant(self, values: NDArray[np.float64], /) -> Any:
        """NumPy's numbers as an array of this library, of its default type and on its default device."""

    def reshape(self, x: Any, shape: Sequence[int], /) -> Any:
        """x in another shape, -1 for at most one axis."""

    def broadcast_to(self, x: Any, shape: Sequence[int], /) -> Any:
        """x repeated to the shape."""

    def pad(self, x: Any, pads: Sequence[tuple[int, int]], /) -> Any:
        """x with zeros around it."""

    def transpose(self, x: Any, axes: Sequence[int], /) -> Any:
        """The old axis ``axes[n]`` at each new place n."""

    def concatenate(self, parts: Sequence[Any], axis: int, /) -> Any:
        """Parts one after the other along an axis."""

    def stack(self, parts: Sequence[Any], axis: int, /) -> Any:
        """Parts of one shape along a new axis."""

    def take(self, x: Any, indices: NDArray[np.int64], axis: int, /) -> Any:
        """The elements of x at constant indices, a list without negative ones, along an axis."""

    def repeat(self, x: Any, times: int, axis: int, /) -> Any:
        """Each element ``times`` times along an axis."""

    def einsum(self, equation: str, a: Any, b: Any, /) -> Any:
        """Sum of products."""

    def convolve(self, x: Any, kernel: Any, op: Convolve, /) -> Any:
        """Convolution as `Convolve` says."""

    def pool(self, x: Any, op: Pool, /) -> Any:
        """Pooling as `Pool` says."""


_COMPARISONS: Mapping[Comparison, Callable[[Any, Any], Any]] = {
    "<": np.less, "<=": np.less_equal, "==": np.equal, "!=": np.not_equal, ">=": np.greater_equal, ">": np.greater,
}  # fmt: skip


class NumpyOps:
    """The verbs of NumPy, and of everything that speaks its protocols."""

    def floor(self, x: Any) -> Any:
        return np.floor(x)

    def ceil(self, x: Any) -> Any:
        return np.ceil(x)

    def rint(self, x: Any) -> Any:
        return np.rint(x)

    def is_negative(self, x: Any) -> Any:
        return np.asarray(x) < 0

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return np.where(condition, a, b)

    def minimum(self, a: Any, b: Any) -> Any:
        return np.minimum(a, b)

    def maximum(self, a: Any, b: Any) -> Any:
        return np.maximum(a, b)

    def clip(self, x: Any, low: float, high: float) -> Any:
        return np.minimum(np.maximum(x, low), high)

    def relu(self, x: Any) -> Any:
        return np.maximum(x, 0)

    def compare(self, kind: Comparison, a: Any, b: Any) -> Any:
        return _COMPARISONS[kind](a, b)

    def exp(self, x: Any) -> Any:
        return np.exp(x)

    def rsqrt(self, x: Any) -> Any:
        return 1.0 / np.sqrt(x)

    def significand_bits(self, x: Any) -> int:
        return 23 if np.asarray(x).dtype == np.float32 else 52

    def power_of_two(self, n: Any) -> Any:
        return np.ldexp(1.0, np.asarray(n).astype(np.int64))

    def ceil_log2(self, x: Any) -> Any:
        mantissa, exponent = np.frexp(x)
        return np.where(np.asarray(x) > 0, exponent - (mantissa == 0.5), EMPTY)

    def stop_gradient(self, x: Any) -> Any:
        return x

    def sum(self, x: Any, axes: tuple[int, ...]) -> Any:
        return np.sum(x, axis=axes, keepdims=True)

    def amax(self, x: Any, axes: tuple[int, ...]) -> Any:
        return np.amax(x, axis=axes, keepdims=True)

    def amin(self, x: Any, axes: tuple[int, ...]) -> Any:
        return np.amin(x, axis=axes, keepdims=True)

    def constant(self, values: NDArray[np.float64]) -> Any:
        return values

    def reshape(self, x: Any, shape: Sequence[int]) -> Any:
        return np.reshape(x, shape)

    def broadcast_to(self, x: Any, shape: Sequence[int]) -> Any:
        return np.broadcast_to(x, shape)

    def pad(self, x: Any, pads: Sequence[tuple[int, int]]) -> Any:
        return np.pad(x, pads)

    def transpose(self, x: Any, axes: Sequence[int]) -> Any:
        return np.transpose(x, axes)

    def concatenate(self, parts: Sequence[Any], axis: int) -> Any:
        return np.concatenate(list(parts), axis=axis)

    def stack(self, parts: Sequence[Any], axis: int) -> Any:
        return np.stack(list(parts), axis=axis)

    def take(self, x: Any, indices: NDArray[np.int64], axis: int) -> Any:
        return np.take(x, indices, axis=axis)

    def repeat(self, x: Any, times: int, axis: int) -> Any:
        return np.repeat(x, times, axis=axis)

    def einsum(self, equation: str, a: Any, b: Any) -> Any:
        return np.einsum(equation, a, b)

    def convolve(self, x: Any, kernel: Any, op: Convolve) -> Any:
        """Gathers the taps of each window into the channel axis, so that one contraction does the whole convolution."""
        if op.transposed:
            return _transposed(self, x, kernel, op)
        shape = op.shape(x.shape, kernel.shape)
        padded = self.pad(x, [(0, 0), *op.pads, (0, 0)]) if any(map(any, op.pads)) else x
        taps = windows(kernel.shape[:-2], op.strides, op.dilation, [int(n or 0) for n in shape[1:-1]])
        columns = [padded[(slice(None), *slices)] for _, slices in taps]
        c_in, c_out = kernel.shape[-2], kernel.shape[-1] // op.groups
        results = []
        for group in range(op.groups):
            channels = slice(group * c_in, (group + 1) * c_in)
            column = np.concatenate([part[..., channels] for part in columns], axis=-1)
            weights = np.reshape(kernel[..., group * c_out : (group + 1) * c_out], (-1, c_out))
            letters = "abcdefgh"[: column.ndim - 1]
            results.append(np.einsum(f"{letters}i,io->{letters}o", column, weights))
        return results[0] if op.groups == 1 else np.concatenate(results, axis=-1)

    def pool(self, x: Any, op: Pool) -> Any:
        """Combines shifted views of the input in a balanced tree."""
        out = [int(n or 0) for n in op.shape(x.shape)[1:-1]]
        if op.kind == "max":
            # Repeating the edge stays inside the window, so padding can never win.
            for axis, (size, (before, after)) in enumerate(zip(x.shape[1:-1], op.pads, strict=True), start=1):
                if before or after:
                    x = np.take(x, np.clip(np.arange(-before, size + after), 0, size - 1), axis=axis)
        elif any(map(any, op.pads)):
            x = self.pad(x, [(0, 0), *op.pads, (0, 0)])
        taps = windows(op.window, op.strides, [1] * len(op.window), out)
        views = [x[(slice(None), *slices)] for _, slices in taps]
        return tree(np.maximum if op.kind == "max" else np.add, views)


def tree(function: Callable[[Any, Any], Any], items: list[Any]) -> Any:
    """All items combined by a function of two, as a balanced tree: the shortest path in hardware."""
    while len(items) > 1:
        pairs = [function(a, b) for a, b in zip(items[::2], items[1::2], strict=False)]
        items = pairs + items[len(pairs) * 2 :]
    return items[0]


def _transposed(ops: NumpyOps, x: Any, kernel: Any, op: Convolve) -> Any:
    """A transposed convolution is a plain one over the input with zeros between its elements and a flipped kernel."""
    rank = len(op.strides)
    spread = x
    for axis, stride in enumerate(op.strides, start=1):
        if stride > 1:
            split = np.reshape(spread, (*spread.shape[: axis + 1], 1, *spread.shape[axis + 1 :]))
            split = ops.pad(split, [(0, stride - 1) if a == axis + 1 else (0, 0) for a in range(split.ndim)])
            merged = (*spread.shape[:axis], spread.shape[axis] * stride, *spread.shape[axis + 1 :])
            spread = np.reshape(split, merged)
            spread = spread[tuple(slice(0, -(stride - 1)) if a == axis else slice(None) for a in range(spread.ndim))]
    reach = [(w - 1) * d for w, d in zip(kernel.shape, op.dilation, strict=False)]
    grown = [(max(r - a, 0), max(r - b, 0)) for r, (a, b) in zip(reach, op.pads, strict=True)]
    cut = [(max(a - r, 0), max(b - r, 0)) for r, (a, b) in zip(reach, op.pads, strict=True)]
    spread = spread[(slice(None), *(slice(a, n - b) for n, (a, b) in zip(spread.shape[1:-1], cut, strict=True)))]
    flipped = kernel[tuple(slice(None, None, -1) for _ in range(rank))]
    plain = type(op)((1,) * rank, tuple(grown), op.dilation, op.groups)
    return ops.convolve(spread, flipped, plain)


NUMPY = NumpyOps()
"""The NumPy verbs; they have no state."""
