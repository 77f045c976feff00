"""The elementwise verbs of `hgq_core.ops.Ops` where Keras runs on PyTorch, without Keras' preparation of arguments.

A step calls them a thousand times on tensors of a few widths, where converting, promoting and looking for symbolic
tensors costs several times what PyTorch does. What is not a tensor of floats yet goes through Keras as before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hgq_core.ops import EMPTY

if TYPE_CHECKING:
    from hgq_core.ops import Ops

__all__ = ["TorchVerbs"]

_BIAS, _MANTISSA = 127, 23  # of float32


def _bits_power_of_two(n: torch.Tensor) -> torch.Tensor:
    """``2**n`` for n in [-126, 127], from the bits of float32."""
    return ((n.to(torch.int32) + _BIAS) << _MANTISSA).view(torch.float32).to(n.dtype)


def _exp2_is_exact() -> bool:
    """Whether this processor's ``exp2`` is exact for whole numbers, in the vector code and in that of the remainder."""
    n = torch.arange(-126.0, 128.0)
    parts = (part for size in (1, 7, 254) for part in n.split(size))
    return all(torch.equal(torch.exp2(part), _bits_power_of_two(part)) for part in parts)


_EXP2_EXACT = _exp2_is_exact()


def _floats(*tensors: Any) -> bool:
    """Whether these are tensors of one floating type, which PyTorch combines as Keras does."""
    first = tensors[0]
    if not isinstance(first, torch.Tensor) or not first.is_floating_point():
        return False
    return all(isinstance(tensor, torch.Tensor) and tensor.dtype == first.dtype for tensor in tensors[1:])


class TorchVerbs:
    """The verbs that a quantizer and the count of its bits use.

    Args:
        general: the verbs for everything else.
    """

    def __init__(self, general: Ops) -> None:
        self._general = general

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._general, verb)

    def floor(self, x: Any) -> Any:
        return torch.floor(x) if _floats(x) else self._general.floor(x)

    def ceil(self, x: Any) -> Any:
        return torch.ceil(x) if _floats(x) else self._general.ceil(x)

    def rint(self, x: Any) -> Any:
        return torch.round(x) if _floats(x) else self._general.rint(x)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        numbers = [value for value in (a, b) if not isinstance(value, int | float)]
        direct = isinstance(condition, torch.Tensor) and condition.dtype == torch.bool
        if direct and numbers and _floats(*numbers):
            return torch.where(condition, a, b)
        return self._general.where(condition, a, b)

    def minimum(self, a: Any, b: Any) -> Any:
        return torch.minimum(a, b) if _floats(a, b) else self._general.minimum(a, b)

    def maximum(self, a: Any, b: Any) -> Any:
        return torch.maximum(a, b) if _floats(a, b) else self._general.maximum(a, b)

    def clip(self, x: Any, low: float, high: float) -> Any:
        return torch.clamp(x, low, high) if _floats(x) else self._general.clip(x, low, high)

    def relu(self, x: Any) -> Any:
        return torch.relu(x) if _floats(x) else self._general.relu(x)

    def power_of_two(self, n: Any) -> Any:
        if not _floats(n):
            return self._general.power_of_two(n)
        whole = torch.clamp(n.detach(), -126, 127)
        if _EXP2_EXACT and n.dtype is torch.float32 and n.device.type == "cpu":
            return torch.exp2(whole)
        return _bits_power_of_two(whole)

    def ceil_log2(self, x: Any) -> Any:
        if not _floats(x):
            return self._general.ceil_log2(x)
        bits = x.float().view(torch.int32)
        # Rounded up in the exponent: a mantissa other than 0 carries into it.
        exponent = (((bits + ((1 << _MANTISSA) - 1)) >> _MANTISSA) - _BIAS).to(x.dtype)
        return torch.where(x > 0, exponent, EMPTY)

    def stop_gradient(self, x: Any) -> Any:
        return x.detach() if _floats(x) else self._general.stop_gradient(x)

    def sum(self, x: Any, axes: tuple[int, ...]) -> Any:
        return torch.sum(x, dim=axes, keepdim=True) if axes and _floats(x) else self._general.sum(x, axes)

    def amax(self, x: Any, axes: tuple[int, ...]) -> Any:
        return torch.amax(x, dim=axes, keepdim=True) if axes and _floats(x) else self._general.amax(x, axes)

    def amin(self, x: Any, axes: tuple[int, ...]) -> Any:
        return torch.amin(x, dim=axes, keepdim=True) if axes and _floats(x) else self._general.amin(x, axes)

    def einsum(self, equation: str, a: Any, b: Any) -> Any:
        if not _floats(a, b):
            return self._general.einsum(equation, a, b)
        return torch.matmul(a, b) if equation == "bi,io->bo" else torch.einsum(equation, a, b)
