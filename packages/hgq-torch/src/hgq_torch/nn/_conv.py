"""Convolutions with trained widths, channels first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from hgq_core.errors import ConfigError
from hgq_core.layers import ChannelsFirst, Convolution
from hgq_torch._slots import Layout, Turn
from hgq_torch.nn._activated import Activated
from hgq_torch.nn._arguments import check_factor, per_axis, positive
from hgq_torch.nn._channels import check_channels, declared_padding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike
    from hgq_torch._quantizer import Quantizer

__all__ = ["QConv1d", "QConv2d"]


class _Convolution(Activated):
    """Abstract over the number of spatial axes."""

    weight: nn.Parameter
    bias: nn.Parameter | None
    kq: Quantizer
    bq: Quantizer | None
    rank: ClassVar[int]
    paddings: ClassVar[Sequence[str]]
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
        self.padding = declared_padding(padding, self.rank, self.paddings)
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

    def declaration(self) -> Declaration:
        """Convolve, Add, Relu, channels last inside."""
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
            )
        )

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size})"

    def reset_parameters(self) -> None:
        """Initialise weight and bias as `torch.nn.Conv2d` does."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.use_bias and self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            nn.init.uniform_(self.bias, -bound, bound)

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


class QConv1d(_Convolution):
    r"""A convolution over positions whose input, weight and bias have trained widths.

    .. math:: y = Q_o(\operatorname{act}(Q_i(x) * Q_k(W) + Q_b(b)))

    The weight is stored as that of `torch.nn.Conv1d`. The quantized input is padded, with zeros.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of the window, a number; so for the next ones.
        stride: of the window.
        padding: zeros on both sides, or ``"valid"``, ``"same"``, or ``"causal"``, which pads before the first
            position only; ``"same"`` goes with a stride too, and then gives ``ceil(size / stride)`` positions.
        dilation: of the window.
        groups: of channels.
        bias: whether there is a bias.
        padding_mode: ``"zeros"``.
        activation: None or ``"relu"``.
        kq: quantizer of the weight, seen as ``(out_channels, in_channels / groups, size)``; see `QLinear`.
        bq: quantizer of the bias, seen as ``(out_channels,)``.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many output positions are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, groups that do not divide the channels, an unknown option, or low precision.

    Shape: ``(batch, in_channels, length)``, sizes as those of `torch.nn.Conv1d`.

    >>> import torch
    >>> QConv1d(2, 4, 3)(torch.zeros(8, 2, 10)).shape
    torch.Size([8, 4, 8])
    """

    rank: ClassVar[int] = 1
    paddings: ClassVar[Sequence[str]] = ("valid", "same", "causal")
    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": Layout("weight", Turn.of((2, 1, 0)))}

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] = 1,
        padding: int | tuple[int] | str = 0,
        dilation: int | tuple[int] = 1,
        groups: int = 1,
        bias: bool = True,
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
        self.set_window(in_channels, out_channels, (kernel_size, stride, padding, dilation), groups, padding_mode)
        self.parallelization_factor = check_factor(parallelization_factor)
        self.make(bias)


class QConv2d(_Convolution):
    r"""A convolution over images whose input, weight and bias have trained widths.

    .. math:: y = Q_o(\operatorname{act}(Q_i(x) * Q_k(W) + Q_b(b)))

    The weight is stored as that of `torch.nn.Conv2d`. The quantized input is padded, with zeros.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of the window, a number, or one for height and one for width; so for the next ones.
        stride: of the window.
        padding: zeros on both sides, or ``"valid"`` or ``"same"``;
            ``"same"`` goes with a stride too, and then gives ``ceil(size / stride)`` positions.
        dilation: of the window.
        groups: of channels.
        bias: whether there is a bias.
        padding_mode: ``"zeros"``.
        activation: None or ``"relu"``.
        kq: quantizer of the weight, seen as ``(out_channels, in_channels / groups, height, width)``; see `QLinear`.
        bq: quantizer of the bias, seen as ``(out_channels,)``.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many output positions are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, groups that do not divide the channels, an unknown option, or low precision.

    Shape: ``(batch, in_channels, height, width)``, sizes as those of `torch.nn.Conv2d`.

    >>> import torch
    >>> QConv2d(3, 4, 3, padding=1)(torch.zeros(8, 3, 6, 6)).shape
    torch.Size([8, 4, 6, 6])
    """

    rank: ClassVar[int] = 2
    paddings: ClassVar[Sequence[str]] = ("valid", "same")
    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": Layout("weight", Turn.of((3, 2, 0, 1)))}

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
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
        self.set_window(in_channels, out_channels, (kernel_size, stride, padding, dilation), groups, padding_mode)
        self.parallelization_factor = check_factor(parallelization_factor)
        self.make(bias)
