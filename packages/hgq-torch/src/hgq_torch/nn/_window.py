"""The window of a convolution over data with channels first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from hgq_core.errors import ConfigError
from hgq_core.layers import ChannelsFirst, Convolution, FoldedNorm
from hgq_torch._slots import Layout, Turn
from hgq_torch.nn._activated import Activated
from hgq_torch.nn._arguments import per_axis, positive
from hgq_torch.nn._channels import check_channels, declared_padding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.layers import Declaration
    from hgq_torch._quantizer import Quantizer

__all__ = ["LAYOUTS", "PADDINGS", "Window", "Windowed"]

LAYOUTS: Mapping[int, Layout] = {rank: Layout("weight", Turn.of((rank + 1, rank, *range(rank)))) for rank in (1, 2, 3)}
"""How PyTorch stores the kernel of a convolution over so many axes."""
PADDINGS: Mapping[int, Sequence[str]] = {1: ("valid", "same", "causal"), 2: ("valid", "same"), 3: ("valid", "same")}
"""Paddings by name."""


class Window(Activated):
    """The arguments of a convolution; abstract over the number of spatial axes and over the constructor."""

    bias: nn.Parameter | None
    bq: Quantizer | None
    rank: ClassVar[int]
    parallelization_factor: int

    def set_window(
        self, in_channels: int, out_channels: int, window: tuple[Any, Any, Any, Any], groups: int, padding_mode: str
    ) -> None:
        """Take the arguments that say what is convolved; ``window`` is kernel_size, stride, padding, dilation."""
        self.in_channels, self.out_channels = (
            positive(in_channels, "in_channels"),
            positive(out_channels, "out_channels"),
        )
        self.groups = positive(groups, "groups")
        kernel_size, stride, padding, dilation = window
        self.kernel_size = per_axis(kernel_size, self.rank, "kernel_size")
        self.stride = per_axis(stride, self.rank, "stride")
        self.dilation = per_axis(dilation, self.rank, "dilation")
        self.padding = declared_padding(padding, self.rank, PADDINGS[self.rank])
        if in_channels % groups or out_channels % groups:
            message = f"groups: received {groups}, expected a divisor of {in_channels} and of {out_channels} channels"
            raise ConfigError(message)
        if padding_mode != "zeros":
            message = f"padding_mode: received {padding_mode!r}, expected 'zeros'; pad the data before the layer"
            raise ConfigError(message)

    def make(self, bias: bool) -> None:
        """Weights and quantizers, from the smallest image that so many windows fit into."""
        self.use_bias = bool(bias)
        first, *others = (d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True))
        first += self.stride[0] * (max(self.parallelization_factor, 1) - 1)
        self.begin((self.in_channels, first, *others))
        if not bias:
            self.register_parameter("bias", None)
            self.register_module("bq", None)

    def build(self, *shapes: Sequence[int]) -> None:
        """See `QModule.build`."""
        check_channels(shapes, (self.rank,), self.in_channels, self.title)
        super().build(*shapes)

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size})"

    @property
    def fewest_axes(self) -> int:  # type: ignore[override]  # of the class in others
        """One image has a channel axis and the spatial ones."""
        return self.rank + 1

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # one input
        """The output for x ``(batch, *input_shape)``; see `QModule.forward`."""
        return super().forward(x)

    def extra_repr(self) -> str:
        """Channels, window, bias and activation."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, bias={self.use_bias}, "
            f"activation={self.activation!r}"
        )


class Windowed(Window):
    """A convolution with a kernel; abstract over the number of spatial axes and over the constructor."""

    weight: nn.Parameter
    kq: Quantizer

    def convolution(self, norm: FoldedNorm | None = None) -> Declaration:
        """Convolve, Add, Relu, channels last inside, with a norm folded in."""
        return ChannelsFirst(
            Convolution(
                self.out_channels,
                self.kernel_size,
                self.stride,
                self.padding,
                self.dilation,
                self.groups,
                use_bias=self.use_bias,
                activation=self.declared_activation,
                parallelization_factor=self.parallelization_factor,
                norm=norm,
            )
        )

    def reset_parameters(self) -> None:
        """Initialise weight and bias as `torch.nn.Conv2d` does."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.use_bias and self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            nn.init.uniform_(self.bias, -bound, bound)
