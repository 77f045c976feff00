"""Transposed convolutions with trained widths, channels first."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hgq_torch.nn._transposed_base import TRANSPOSED_LAYOUTS, Transposed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_torch._slots import Layout

__all__ = ["QConvTranspose1d", "QConvTranspose2d", "QConvTranspose3d"]


class QConvTranspose1d(Transposed):
    r"""A transposed convolution over positions whose input, weight and bias have trained widths.

    .. math:: y_{p s + k d - c} \mathrel{+}= W_k Q_i(x_p), \qquad Q_o(\operatorname{act}(y + Q_b(b)))

    with stride s, dilation d and padding c, W quantized. The weight is stored as that of
    `torch.nn.ConvTranspose1d`. EBOPs count the products that there are: none with the zeros that one may imagine
    between positions, none that the padding cuts away.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of the window, a number; so for the next ones.
        stride: distance, in the output, of neighbours in the input.
        padding: so many positions are cut away at both ends of the output; or ``"valid"``, none, or ``"same"``, so that
            ``size * stride`` are left, or with an output padding as many as Keras leaves.
        output_padding: positions more at the end, fewer than the stride or the dilation.
        groups: of channels.
        bias: whether there is a bias.
        dilation: of the window.
        padding_mode: ``"zeros"``.
        activation: None or ``"relu"``.
        kq: quantizer of the weight, seen as it is stored, ``(in_channels, out_channels, *window)``; with groups as
            ``(*window, in_channels / groups, out_channels)``; see `QLinear`.
        bq: quantizer of the bias, seen as ``(out_channels,)``.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many *input* positions are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, groups that do not divide the channels, an output padding that is too large, an
            unknown option, or low precision.
        ShapeError: data of another number of axes or channels.

    Shape: ``(batch, in_channels, length)``, sizes as those of `torch.nn.ConvTranspose1d`.

    >>> import torch
    >>> QConvTranspose1d(3, 5, 4, stride=2, padding=1)(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 5, 8])
    """

    rank: ClassVar[int] = 1
    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": TRANSPOSED_LAYOUTS[1]}


class QConvTranspose2d(Transposed):
    r"""A transposed convolution over images whose input, weight and bias have trained widths.

    .. math:: y_{p s + k d - c} \mathrel{+}= W_k Q_i(x_p), \qquad Q_o(\operatorname{act}(y + Q_b(b)))

    with stride s, dilation d and padding c, W quantized. The weight is stored as that of
    `torch.nn.ConvTranspose2d`. EBOPs count the products that there are: none with the zeros that one may imagine
    between positions, none that the padding cuts away.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of the window, a number, or one for height and one for width; so for the next ones.
        stride: distance, in the output, of neighbours in the input.
        padding: so many positions are cut away at both ends of the output; or ``"valid"``, none, or ``"same"``, so that
            ``size * stride`` are left, or with an output padding as many as Keras leaves.
        output_padding: positions more at the end, fewer than the stride or the dilation.
        groups: of channels.
        bias: whether there is a bias.
        dilation: of the window.
        padding_mode: ``"zeros"``.
        activation: None or ``"relu"``.
        kq: quantizer of the weight, seen as it is stored, ``(in_channels, out_channels, *window)``; with groups as
            ``(*window, in_channels / groups, out_channels)``; see `QLinear`.
        bq: quantizer of the bias, seen as ``(out_channels,)``.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many *input* positions are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, groups that do not divide the channels, an output padding that is too large, an
            unknown option, or low precision.
        ShapeError: data of another number of axes or channels.

    Shape: ``(batch, in_channels, height, width)``, sizes as those of `torch.nn.ConvTranspose2d`.

    >>> import torch
    >>> QConvTranspose2d(3, 5, 4, stride=2, padding=1)(torch.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 5, 8, 8])
    """

    rank: ClassVar[int] = 2
    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": TRANSPOSED_LAYOUTS[2]}


class QConvTranspose3d(Transposed):
    r"""A transposed convolution over volumes whose input, weight and bias have trained widths.

    .. math:: y_{p s + k d - c} \mathrel{+}= W_k Q_i(x_p), \qquad Q_o(\operatorname{act}(y + Q_b(b)))

    with stride s, dilation d and padding c, W quantized. The weight is stored as that of
    `torch.nn.ConvTranspose3d`. EBOPs count the products that there are: none with the zeros that one may imagine
    between positions, none that the padding cuts away.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of the window, a number, or one for each of depth, height, width; so for the next ones.
        stride: distance, in the output, of neighbours in the input.
        padding: so many positions are cut away at both ends of the output; or ``"valid"``, none, or ``"same"``, so that
            ``size * stride`` are left, or with an output padding as many as Keras leaves.
        output_padding: positions more at the end, fewer than the stride or the dilation.
        groups: of channels.
        bias: whether there is a bias.
        dilation: of the window.
        padding_mode: ``"zeros"``.
        activation: None or ``"relu"``.
        kq: quantizer of the weight, seen as it is stored, ``(in_channels, out_channels, *window)``; with groups as
            ``(*window, in_channels / groups, out_channels)``; see `QLinear`.
        bq: quantizer of the bias, seen as ``(out_channels,)``.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many *input* positions are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, groups that do not divide the channels, an output padding that is too large, an
            unknown option, or low precision.
        ShapeError: data of another number of axes or channels.

    Shape: ``(batch, in_channels, depth, height, width)``, sizes as those of `torch.nn.ConvTranspose3d`.

    >>> import torch
    >>> QConvTranspose3d(3, 5, 4, stride=2, padding=1)(torch.zeros(2, 3, 4, 4, 4)).shape
    torch.Size([2, 5, 8, 8, 8])
    """

    rank: ClassVar[int] = 3
    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": TRANSPOSED_LAYOUTS[3]}
