"""Convolutions with trained widths, channels first."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hgq_torch.nn._arguments import check_factor
from hgq_torch.nn._window import LAYOUTS, Windowed

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike
    from hgq_torch._slots import Layout
    from hgq_torch.nn._activated import ActivationLike

__all__ = ["QConv1d", "QConv2d", "QConv3d"]


class _Convolution(Windowed):
    """Abstract over the number of spatial axes; the arguments are those of `QConv2d`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        activation: ActivationLike = None,
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

    def declaration(self) -> Declaration:
        """Convolve, Add, Relu, channels last inside."""
        return self.convolution()


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
        activation: None, a name, function or module that needs no table, as of `QLinear`.
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
    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": LAYOUTS[1]}


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
        activation: None, a name, function or module that needs no table, as of `QLinear`.
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
    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": LAYOUTS[2]}


class QConv3d(_Convolution):
    r"""A convolution over volumes whose input, weight and bias have trained widths.

    .. math:: y = Q_o(\operatorname{act}(Q_i(x) * Q_k(W) + Q_b(b)))

    The weight is stored as that of `torch.nn.Conv3d`. The quantized input is padded, with zeros.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of the window, a number, or one for each of depth, height, width; so for the next ones.
        stride: of the window.
        padding: zeros on both sides, or ``"valid"`` or ``"same"``;
            ``"same"`` goes with a stride too, and then gives ``ceil(size / stride)`` positions.
        dilation: of the window.
        groups: of channels.
        bias: whether there is a bias.
        padding_mode: ``"zeros"``.
        activation: None, a name, function or module that needs no table, as of `QLinear`.
        kq: quantizer of the weight, seen as it is stored, with three spatial axes behind the channels; see `QLinear`.
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

    Shape: ``(batch, in_channels, depth, height, width)``, sizes as those of `torch.nn.Conv3d`.

    >>> import torch
    >>> QConv3d(3, 4, 3, padding=1)(torch.zeros(1, 3, 4, 4, 4)).shape
    torch.Size([1, 4, 4, 4, 4])
    """

    rank: ClassVar[int] = 3
    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": LAYOUTS[3]}
