"""Convolutions whose weight and bias have a batch normalisation folded in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from hgq_torch.nn._arguments import check_factor
from hgq_torch.nn._normalised import NORM, Normalised
from hgq_torch.nn._window import LAYOUTS, Windowed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike
    from hgq_torch._slots import Layout
    from hgq_torch.nn._activated import ActivationLike

__all__ = ["QConv1dBatchNorm", "QConv2dBatchNorm", "QConv3dBatchNorm"]


class _FoldedConvolution(Normalised, Windowed):
    """Abstract over the number of spatial axes; a convolution and the norm behind it."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        padding_mode: str = "zeros",
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
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
        self.set_norm(eps, momentum, affine)
        self.make(True)

    def declaration(self) -> Declaration:
        """Convolve, Add, Relu, channels last inside."""
        return self.convolution(self.norm)

    def reset_parameters(self) -> None:
        """Initialise the weight as `torch.nn.Conv2d` does, and the norm."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.reset_norm()


class QConv1dBatchNorm(_FoldedConvolution):
    """``y = activation(iq(x) * kq(weight * scale) + bq(beta - mean * scale))``: a convolution and the norm behind it.

    The norm is that of `QLinearBatchNorm`; the window has the arguments of `QConv1d`, without a bias.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of the window, a number, or one for each spatial axis; so for the next ones.
        stride: of the window.
        padding: zeros on both sides, or the name of one, as of the convolution alone.
        dilation: of the window.
        groups: of channels.
        padding_mode: ``"zeros"``.
        eps: added to the variance.
        momentum: how far the running averages go to those of each batch, 0 to 1; None: they are those of all batches.
        affine: whether gamma and beta are learned.
        activation: None, a name, function or module that needs no table, as of `QLinear`.
        kq: quantizer of the folded weight, seen as ``(*window, in_channels / groups, out_channels)``; see `QLinear`.
        bq: quantizer of the folded bias.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many output positions are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> QConv1dBatchNorm(2, 4, 3)(torch.zeros(8, 2, 10)).shape
    torch.Size([8, 4, 8])
    """

    rank: ClassVar[int] = 1
    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": LAYOUTS[1], **NORM}


class QConv2dBatchNorm(_FoldedConvolution):
    """``y = activation(iq(x) * kq(weight * scale) + bq(beta - mean * scale))``: a convolution and the norm behind it.

    The norm is that of `QLinearBatchNorm`; the window has the arguments of `QConv2d`, without a bias.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of the window, a number, or one for each spatial axis; so for the next ones.
        stride: of the window.
        padding: zeros on both sides, or the name of one, as of the convolution alone.
        dilation: of the window.
        groups: of channels.
        padding_mode: ``"zeros"``.
        eps: added to the variance.
        momentum: how far the running averages go to those of each batch, 0 to 1; None: they are those of all batches.
        affine: whether gamma and beta are learned.
        activation: None, a name, function or module that needs no table, as of `QLinear`.
        kq: quantizer of the folded weight, seen as ``(*window, in_channels / groups, out_channels)``; see `QLinear`.
        bq: quantizer of the folded bias.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many output positions are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> QConv2dBatchNorm(2, 4, 3)(torch.zeros(8, 2, 6, 6)).shape
    torch.Size([8, 4, 4, 4])
    """

    rank: ClassVar[int] = 2
    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": LAYOUTS[2], **NORM}


class QConv3dBatchNorm(_FoldedConvolution):
    """``y = activation(iq(x) * kq(weight * scale) + bq(beta - mean * scale))``: a convolution and the norm behind it.

    The norm is that of `QLinearBatchNorm`; the window has the arguments of `QConv3d`, without a bias.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of the window, a number, or one for each spatial axis; so for the next ones.
        stride: of the window.
        padding: zeros on both sides, or the name of one, as of the convolution alone.
        dilation: of the window.
        groups: of channels.
        padding_mode: ``"zeros"``.
        eps: added to the variance.
        momentum: how far the running averages go to those of each batch, 0 to 1; None: they are those of all batches.
        affine: whether gamma and beta are learned.
        activation: None, a name, function or module that needs no table, as of `QLinear`.
        kq: quantizer of the folded weight, seen as ``(*window, in_channels / groups, out_channels)``; see `QLinear`.
        bq: quantizer of the folded bias.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many output positions are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> QConv3dBatchNorm(2, 4, 3)(torch.zeros(2, 2, 4, 4, 4)).shape
    torch.Size([2, 4, 2, 2, 2])
    """

    rank: ClassVar[int] = 3
    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": LAYOUTS[3], **NORM}
