"""The verbs of `hgq_core.ops.Ops` for torch tensors, exact and without host synchronisation."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any

import torch

from hgq_core.linear import windows
from hgq_core.ops import EMPTY, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from hgq_core.linear import Convolve, Pool
    from hgq_core.ops import Comparison

__all__ = ["CONVOLUTION", "TORCH", "TorchOps"]

LN2 = log(2.0)
_EXPONENT = {torch.float32: (torch.int32, 127, 23), torch.float64: (torch.int64, 1023, 52)}


def _bits_power_of_two(n: Tensor) -> Tensor:
    """``2**n`` from the exponent bits."""
    integer, bias, mantissa = _EXPONENT.get(n.dtype, _EXPONENT[torch.float32])
    exponent = torch.clamp(n, 1 - bias, bias).to(integer) + bias
    return (exponent << mantissa).view(n.dtype if n.dtype in _EXPONENT else torch.float32)


def _exp2_is_exact() -> bool:
    """Whether this processor's ``exp2`` is exact for whole numbers, in the vector code and in that of the remainder."""
    n = torch.arange(-126.0, 128.0)
    expected = _bits_power_of_two(n)
    return all(
        torch.equal(torch.exp2(part), whole) for size in (1, 7, 254) for part, whole in _pairs(n, expected, size)
    )


def _pairs(a: Tensor, b: Tensor, size: int) -> zip[tuple[Tensor, Tensor]]:
    return zip(a.split(size), b.split(size), strict=True)


_EXP2_EXACT = _exp2_is_exact()


def power_of_two(n: Tensor) -> Tensor:
    """``2**n``, exact for whole n in [-126, 127], without gradient: one call where ``exp2`` is exact, else by bits."""
    if _EXP2_EXACT and n.dtype is torch.float32 and n.device.type == "cpu":
        return torch.exp2(n)
    return _bits_power_of_two(n)


_COMPARISONS: Mapping[Comparison, Callable[[Any, Any], Any]] = {
    "<": torch.lt, "<=": torch.le, "==": torch.eq, "!=": torch.ne, ">=": torch.ge, ">": torch.gt,
}  # fmt: skip


class TorchOps:
    """The verbs on torch tensors.

    >>> TORCH.power_of_two(torch.tensor([-3.0, 10.0]))
    tensor([1.2500e-01, 1.0240e+03])
    >>> TORCH.ceil_log2(torch.tensor([4.0, 5.0, 0.0]))
    tensor([  2.,   3., -32.])
    """

    def floor(self, x: Tensor, /) -> Tensor:
        """Largest whole number not above x."""
        return torch.floor(x)

    def ceil(self, x: Tensor, /) -> Tensor:
        """Smallest whole number not below x."""
        return torch.ceil(x)

    def rint(self, x: Tensor, /) -> Tensor:
        """Nearest whole number, ties to even."""
        return torch.round(x)

    def is_negative(self, x: Tensor, /) -> Tensor:
        """Whether x is below 0."""
        return x < 0

    def where(self, condition: Tensor, a: Tensor, b: Tensor, /) -> Tensor:
        """A where the condition holds, else b."""
        return torch.where(condition, a, b)

    def minimum(self, a: Tensor, b: Tensor, /) -> Tensor:
        """Smaller one of each pair."""
        return torch.minimum(a, b)

    def maximum(self, a: Tensor, b: Tensor, /) -> Tensor:
        """Larger one of each pair."""
        return torch.maximum(a, b)

    def clip(self, x: Tensor, low: float, high: float, /) -> Tensor:
        """``min(max(x, low), high)``."""
        return torch.clamp(x, low, high)

    def relu(self, x: Tensor, /) -> Tensor:
        """``max(x, 0)``."""
        return torch.relu(x)

    def compare(self, kind: Comparison, a: Tensor, b: Tensor | float, /) -> Tensor:
        """Where the comparison holds."""
        return _COMPARISONS[kind](a, b)

    def exp(self, x: Tensor, /) -> Tensor:
        """``e**x``."""
        return torch.exp(x)

    def rsqrt(self, x: Tensor, /) -> Tensor:
        """``1 / sqrt(x)``."""
        return torch.rsqrt(x)

    def significand_bits(self, x: Tensor, /) -> int:
        """Bits of a float of this type behind its first one."""
        return 52 if x.dtype is torch.float64 else 23

    def power_of_two(self, n: Tensor, /) -> Tensor:
        """``2**n`` from the exponent bits of the float, exact; n is limited to the normal exponents of its type."""
        power = power_of_two(n.detach())
        # The factor is 1; it carries the derivative ln2 * 2**n.
        return power * (1.0 + LN2 * (n - n.detach())) if n.requires_grad else power

    def ceil_log2(self, x: Tensor, /) -> Tensor:
        """Smallest whole n with ``2**n >= x``, exact; `EMPTY` where x <= 0."""
        mantissa, exponent = torch.frexp(x.detach())
        whole = (exponent - (mantissa == 0.5).to(exponent.dtype)).to(x.dtype)
        return torch.where(x > 0, whole, EMPTY)

    def stop_gradient(self, x: Tensor, /) -> Tensor:
        """X, cut from differentiation."""
        return x.detach()

    def sum(self, x: Tensor, axes: tuple[int, ...], /) -> Tensor:
        """Sum over axes, kept with size 1."""
        return x.sum(dim=axes, keepdim=True) if axes else x

    def amax(self, x: Tensor, axes: tuple[int, ...], /) -> Tensor:
        """Maximum over axes, kept with size 1."""
        return torch.amax(x, dim=axes, keepdim=True) if axes else x

    def amin(self, x: Tensor, axes: tuple[int, ...], /) -> Tensor:
        """Minimum over axes, kept with size 1."""
        return torch.amin(x, dim=axes, keepdim=True) if axes else x

    def constant(self, values: NDArray[np.float64], /) -> Tensor:
        """NumPy's numbers as a tensor of torch's default type, on its default device."""
        return torch.tensor(values, dtype=torch.get_default_dtype())

    def reshape(self, x: Tensor, shape: Sequence[int], /) -> Tensor:
        """X in another shape, -1 for at most one axis."""
        return x.reshape(tuple(shape))

    def broadcast_to(self, x: Tensor, shape: Sequence[int], /) -> Tensor:
        """X repeated to the shape."""
        return x.broadcast_to(tuple(shape))

    def pad(self, x: Tensor, pads: Sequence[tuple[int, int]], /) -> Tensor:
        """X with zeros around it."""
        return torch.nn.functional.pad(x, [n for pair in reversed(pads) for n in pair])

    def transpose(self, x: Tensor, axes: Sequence[int], /) -> Tensor:
        """The old axis ``axes[n]`` at each new place n."""
        return x.permute(tuple(axes))

    def concatenate(self, parts: Sequence[Tensor], axis: int, /) -> Tensor:
        """Parts one after the other along an axis."""
        return torch.cat(list(parts), dim=axis)

    def stack(self, parts: Sequence[Tensor], axis: int, /) -> Tensor:
        """Parts of one shape along a new axis."""
        return torch.stack(list(parts), dim=axis)

    def take(self, x: Tensor, indices: NDArray[np.int64], axis: int, /) -> Tensor:
        """The elements of x at constant indices along an axis."""
        return torch.index_select(x, axis, torch.as_tensor(indices, device=x.device))

    def repeat(self, x: Tensor, times: int, axis: int, /) -> Tensor:
        """Each element ``times`` times along an axis."""
        return torch.repeat_interleave(x, times, dim=axis)

    def einsum(self, equation: str, a: Tensor, b: Tensor, /) -> Tensor:
        """Sum of products."""
        return torch.einsum(equation, a, b)

    def convolve(self, x: Tensor, kernel: Tensor, op: Convolve, /) -> Tensor:
        """Convolution of channels-last data with a kernel ``(*window, c_in / groups, c_out)``."""
        rank = len(op.strides)
        if op.transposed:
            full = _TRANSPOSED[rank](
                x.movedim(-1, 1), _grouped(kernel, op.groups), stride=op.strides, dilation=op.dilation, groups=op.groups
            ).movedim(1, -1)
            cut = [slice(a, n - b) for n, (a, b) in zip(full.shape[1:-1], op.pads, strict=True)]
            return full[(slice(None), *cut)]
        padded = self.pad(x, [(0, 0), *op.pads, (0, 0)]) if any(map(any, op.pads)) else x
        result = CONVOLUTION[rank](
            padded.movedim(-1, 1),
            kernel.movedim((-1, -2), (0, 1)),
            stride=op.strides,
            dilation=op.dilation,
            groups=op.groups,
        )
        return result.movedim(1, -1)

    def pool(self, x: Tensor, op: Pool, /) -> Tensor:
        """Largest numbers, or sums, of windows; padding never wins a maximum and adds nothing to a sum."""
        rank = len(op.window)
        first = x.movedim(-1, 1)
        if any(map(any, op.pads)):
            fill = float("-inf") if op.kind == "max" else 0.0
            first = torch.nn.functional.pad(first, [n for pair in reversed(op.pads) for n in pair], value=fill)
        if op.kind == "max":
            if not torch.is_grad_enabled():
                # Half the time of PyTorch's pooling on a processor; with gradients it is the other way round.
                out = [int(n or 0) for n in op.shape(x.shape)[1:-1]]
                taps = windows(op.window, op.strides, [1] * rank, out)
                views = [first[(slice(None), slice(None), *slices)] for _, slices in taps]
                return tree(torch.maximum, views).movedim(1, -1)
            return _LARGEST[rank](first, op.window, op.strides).movedim(1, -1)
        # Sums, not means: dividing by the window and multiplying again would round. 1d has no such option.
        window, strides = ((1, *op.window), (1, *op.strides)) if rank == 1 else (op.window, op.strides)
        planes = first.unsqueeze(2) if rank == 1 else first
        sums = (torch.nn.functional.avg_pool3d if rank == 3 else torch.nn.functional.avg_pool2d)(
            planes, window, strides, divisor_override=1
        )
        return (sums.squeeze(2) if rank == 1 else sums).movedim(1, -1)


def _grouped(kernel: Tensor, groups: int) -> Tensor:
    """A transposed kernel in torch's order ``(c_in, c_out / groups, *window)``."""
    parts = kernel.chunk(groups, dim=-1)
    return torch.cat([part.movedim((-2, -1), (0, 1)) for part in parts], dim=0)


_LARGEST = {
    1: torch.nn.functional.max_pool1d,
    2: torch.nn.functional.max_pool2d,
    3: torch.nn.functional.max_pool3d,
}
CONVOLUTION: dict[int, Any] = {
    1: torch.nn.functional.conv1d,
    2: torch.nn.functional.conv2d,
    3: torch.nn.functional.conv3d,
}
_TRANSPOSED = {
    1: torch.nn.functional.conv_transpose1d,
    2: torch.nn.functional.conv_transpose2d,
    3: torch.nn.functional.conv_transpose3d,
}

TORCH = TorchOps()
"""The torch verbs; they have no state."""
