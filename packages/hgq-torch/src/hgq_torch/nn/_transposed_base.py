"""What transposed convolutions of every number of axes have in common."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from hgq_core.errors import ConfigError
from hgq_core.layers import ChannelsFirst, TransposedConvolution
from hgq_torch._slots import Layout, Turn
from hgq_torch.nn._activated import Activated
from hgq_torch.nn._arguments import check_factor, per_axis, positive
from hgq_torch.nn._channels import check_channels, declared_padding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import Tensor

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike
    from hgq_torch._quantizer import Quantizer

__all__ = ["TRANSPOSED_LAYOUTS", "Transposed"]

TRANSPOSED_LAYOUTS: Mapping[int, Layout] = {
    rank: Layout("weight", Turn.of((rank, rank + 1, *range(rank)))) for rank in (1, 2, 3)
}
"""How PyTorch stores the kernel of a transposed convolution over so many axes."""


class Transposed(Activated):
    """Abstract over the number of spatial axes; the arguments are those of `QConvTranspose2d`."""

    weight: nn.Parameter
    bias: nn.Parameter | None
    kq: Quantizer
    bq: Quantizer | None
    rank: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        padding_mode: str = "zeros",
        activation: str | None = None,
        *,
        kq: QuantizerLike = None,
        bq: QuantizerLike = None,
        iq: QuantizerLike = None,
        oq: QuantizerLike = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        parallelization_factor: int = -1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            activation,
            iq=iq,
            oq=oq,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            quantizers={"kq": kq, "bq": bq},
            device=device,
            dtype=dtype,
        )
        self.in_channels, self.out_channels = (
            positive(in_channels, "in_channels"),
            positive(out_channels, "out_channels"),
        )
        self.groups = positive(groups, "groups")
        self.kernel_size = per_axis(kernel_size, self.rank, "kernel_size")
        self.stride = per_axis(stride, self.rank, "stride")
        self.dilation = per_axis(dilation, self.rank, "dilation")
        self.padding = declared_padding(padding, self.rank, ("valid", "same"))
        self.output_padding = per_axis(output_padding, self.rank, "output_padding", least=0)
        self._check(groups, padding_mode)
        self.parallelization_factor = check_factor(parallelization_factor)
        self.use_bias = bool(bias)
        self.begin(self._smallest())
        if not bias:
            self.register_parameter("bias", None)
            self.register_module("bq", None)

    def _check(self, groups: int, padding_mode: str) -> None:
        sizes = zip(self.output_padding, self.stride, self.dilation, strict=True)
        if any(more >= max(stride, dilation) for more, stride, dilation in sizes):
            message = (
                f"output_padding: received {self.output_padding}, expected less than stride {self.stride} or dilation "
                f"{self.dilation}"
            )
            raise ConfigError(message)
        if self.in_channels % groups or self.out_channels % groups:
            message = (
                f"groups: received {groups}, expected a divisor of {self.in_channels} and of {self.out_channels} "
                "channels"
            )
            raise ConfigError(message)
        if padding_mode != "zeros":
            message = f"padding_mode: received {padding_mode!r}, expected 'zeros', the only one of PyTorch's own layer"
            raise ConfigError(message)

    def _smallest(self) -> tuple[int, ...]:
        """Channels and sizes of the smallest data that the padding leaves something of, and enough to share."""
        cut = [(0, 0)] * self.rank if isinstance(self.padding, str) else self.padding
        sizes = zip(self.kernel_size, self.dilation, self.stride, cut, strict=True)
        first, *others = (max(-(-(sum(pair) - (k - 1) * d) // s) + 1, 1) for k, d, s, pair in sizes)
        return (self.in_channels, first * max(self.parallelization_factor, 1), *others)

    def build(self, *shapes: Sequence[int]) -> None:
        """See `QModule.build`."""
        check_channels(shapes, (self.rank,), self.in_channels, self.title)
        super().build(*shapes)

    def declaration(self) -> Declaration:
        """Convolve, transposed, Pad, Add, Relu, channels last inside."""
        named = isinstance(self.padding, str)
        padding = ((0, 0),) * self.rank if self.padding == "valid" else self.padding
        return ChannelsFirst(
            TransposedConvolution(
                self.out_channels,
                self.kernel_size,
                self.stride,
                padding,
                None if named and not any(self.output_padding) else self.output_padding,
                self.dilation,
                self.groups,
                use_bias=self.use_bias,
                activation=self.declared_activation,
                parallelization_factor=self.parallelization_factor,
            )
        )

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size})"

    def reset_parameters(self) -> None:
        """Initialise weight and bias as `torch.nn.ConvTranspose2d` does."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.use_bias and self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            nn.init.uniform_(self.bias, -bound, bound)

    @property
    def fewest_axes(self) -> int:  # type: ignore[override]  # of the class in others
        """One example has a channel axis and the spatial ones."""
        return self.rank + 1

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:  # type: ignore[override]  # one input
        """The output for x ``(batch, *input_shape)``; see `QModule.forward`.

        Raises:
            ConfigError: an output size, which PyTorch's own layer takes here.
        """
        if output_size is not None:
            message = (
                f"{self.title}: received output_size={output_size!r}, expected None; hardware has one size: say it by "
                "output_padding when the layer is made"
            )
            raise ConfigError(message)
        return super().forward(x)

    def extra_repr(self) -> str:
        """Channels, window, bias and activation."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, output_padding={self.output_padding}, dilation={self.dilation}, "
            f"groups={self.groups}, bias={self.use_bias}, activation={self.activation!r}"
        )
