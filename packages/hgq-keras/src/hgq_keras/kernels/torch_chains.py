"""A product or convolution with its bias and ReLU in one call of PyTorch, the ReLU in the memory of the sum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hgq_core.linear import Contract

if TYPE_CHECKING:
    from hgq_core.layers.patterns import Chain

__all__ = ["chained"]

_CONVOLUTION: dict[int, Any] = {
    1: torch.nn.functional.conv1d,
    2: torch.nn.functional.conv2d,
    3: torch.nn.functional.conv3d,
}


def chained(chain: Chain, x: Any, kernel: Any, bias: Any) -> Any:
    """The result of a chain.

    Args:
        chain: what to compute.
        x: quantized data.
        kernel: quantized, as it is declared.
        bias: quantized, or None.
    """
    operation = chain.operation
    # Whole numbers, where a dummy leaves data as they are.
    x = x.to(kernel.dtype)
    if isinstance(operation, Contract):
        y = torch.nn.functional.linear(x, kernel.t(), bias)
        return y.relu_() if chain.relu else y
    if chain.moved is not None:
        x = x.permute(0, *(axis + 1 for axis in chain.moved.axes))
    first = torch.nn.functional.pad(x.movedim(-1, 1), [n for pair in reversed(operation.pads) for n in pair])
    sizes = {"stride": operation.strides, "dilation": operation.dilation, "groups": operation.groups}
    y = _CONVOLUTION[len(operation.strides)](first, kernel.movedim((-1, -2), (0, 1)), bias, **sizes)
    return (y.relu_() if chain.relu else y).movedim(1, -1)
