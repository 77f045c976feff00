"""Convolutions of trained tables, channels first."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from hgq_core.layers import ChannelsFirst, TableConvolution
from hgq_torch.nn._table_base import Tables
from hgq_torch.nn._window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike

__all__ = ["QConvT1d", "QConvT2d"]


class _TableConvolution(Window, Tables):
    """Abstract over the number of spatial axes; the arguments are those of `QConvT2d`."""

    shapes_from_arguments: ClassVar[bool] = False

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
        activation: str | None = None,
        *,
        hidden_layers: int = 1,
        hidden_units: int = 8,
        function: Callable[[Tensor], Tensor] | None = torch.tanh,
        batch_norm: bool = False,
        eps: float = 1e-3,
        momentum: float | None = 0.01,
        table_idxs: tuple[int, int] = (6, 5),
        toq: QuantizerLike = None,
        bq: QuantizerLike = None,
        iq: QuantizerLike = None,
        oq: QuantizerLike = None,
        enable_iq: bool | None = True,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        parallelization_factor: int = -1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            activation, iq=iq, oq=oq, enable_iq=enable_iq, enable_oq=enable_oq, enable_ebops=enable_ebops, beta0=beta0,
            quantizers={"toq": toq, "bq": bq}, device=device, dtype=dtype,
        )  # fmt: skip
        self.set_window(in_channels, out_channels, (kernel_size, stride, padding, dilation), groups, padding_mode)
        hidden = hidden_layers, hidden_units
        self.set_network(hidden, function, (bool(batch_norm), eps, momentum), table_idxs, parallelization_factor)
        self.make(bias)

    def declaration(self) -> Declaration:
        """Tables, Reduce, Add, Relu, channels last inside."""
        return ChannelsFirst(
            TableConvolution(
                self.out_channels,
                self.kernel_size,
                self.stride,
                self.padding,
                self.dilation,
                self.groups,
                self.use_bias,
                **self.declared(),
            )
        )

    def extra_repr(self) -> str:
        """Channels, window, bias, activation and network."""
        return f"{super().extra_repr()}, hidden={self.network.hidden}x{self.network.units}"


class QConvT1d(_TableConvolution):
    r"""A convolution over positions with a trained table for each of its products: see `QLinearT`.

    .. math:: y_{po} = Q_o(\operatorname{act}(\sum_{kc} Q_t(T_{okc}(Q_i(x_{ps+kd,c}))) + Q_b(b_o)))

    Each edge has a width of its own at each position before its table, and one for all positions behind it. Zeros are
    put around the data: what is there adds the table of 0, which need not be 0.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of the window, a number; so for the next ones.
        stride: of the window.
        padding: zeros on both sides, or ``"valid"``, ``"same"`` or ``"causal"``;
            ``"same"`` goes with a stride too, and then gives ``ceil(size / stride)`` positions.
        dilation: of the window.
        groups: of channels; with several, tables, widths and bias have an axis of them before the output channels.
        bias: whether there is a bias.
        padding_mode: ``"zeros"``.
        activation: None or ``"relu"``, behind the sum.
        hidden_layers: of the network of an edge.
        hidden_units: of each hidden layer.
        function: of a hidden layer, element by element; None: linear, so that each table is a straight line.
        batch_norm: whether the output of each edge is normalised, over the batch and all positions.
        eps: of that, added to the variance.
        momentum: how far its running averages go to those of each batch.
        table_idxs: bits of the inputs of the tables that EBOPs counts in.
        toq: quantizer of the outputs of the tables, seen as that of ``iq``.
        bq: quantizer of the bias.
        iq: quantizer of the input at the tables, seen as ``(batch, length, out_channels, size, in_channels)``; with
            ``homogeneous_axis=(0, 1)`` its widths serve all positions, which then have the same tables.
        oq: quantizer of the output; giving one enables it.
        enable_iq: has to be so.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many output positions are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: an option that does not fit.

    Shape: ``(batch, in_channels, length)``, sizes as those of `torch.nn.Conv1d`.

    >>> QConvT1d(2, 3, 2)(torch.zeros(8, 2, 4)).shape
    torch.Size([8, 3, 3])
    """

    rank: ClassVar[int] = 1


class QConvT2d(_TableConvolution):
    r"""A convolution over images with a trained table for each of its products: see `QConvT1d`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of the window, a number, or one for height and one for width; so for the next ones.
        stride: of the window.
        padding: zeros on both sides, or ``"valid"`` or ``"same"``;
            ``"same"`` goes with a stride too, and then gives ``ceil(size / stride)`` positions.
        dilation: of the window.
        groups: of channels; with several, tables, widths and bias have an axis of them before the output channels.
        bias: whether there is a bias.
        padding_mode: ``"zeros"``.
        activation: None or ``"relu"``, behind the sum.
        hidden_layers: of the network of an edge.
        hidden_units: of each hidden layer.
        function: of a hidden layer, element by element; None: linear, so that each table is a straight line.
        batch_norm: whether the output of each edge is normalised, over the batch and all positions.
        eps: of that, added to the variance.
        momentum: how far its running averages go to those of each batch.
        table_idxs: bits of the inputs of the tables that EBOPs counts in.
        toq: quantizer of the outputs of the tables, seen as that of ``iq``.
        bq: quantizer of the bias.
        iq: quantizer of the input at the tables, seen as
            ``(batch, height, width, out_channels, *kernel_size, in_channels)``; with ``homogeneous_axis=(0, 1, 2)`` its
            widths serve all positions, which then have the same tables.
        oq: quantizer of the output; giving one enables it.
        enable_iq: has to be so.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many output positions are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: an option that does not fit.

    Shape: ``(batch, in_channels, height, width)``, sizes as those of `torch.nn.Conv2d`.

    >>> QConvT2d(2, 3, 2, padding="same")(torch.zeros(8, 2, 3, 3)).shape
    torch.Size([8, 3, 3, 3])
    """

    rank: ClassVar[int] = 2
