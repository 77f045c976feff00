"""Pooling to one position, channels first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hgq_core.errors import ConfigError
from hgq_core.layers import ChannelsFirst, GlobalPooling
from hgq_torch.nn._base import QModule
from hgq_torch.nn._channels import check_channels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike

__all__ = [
    "QAdaptiveAvgPool1d",
    "QAdaptiveAvgPool2d",
    "QAdaptiveAvgPool3d",
    "QAdaptiveMaxPool1d",
    "QAdaptiveMaxPool2d",
    "QAdaptiveMaxPool3d",
]


class _Adaptive(QModule):
    """Abstract over maximum and mean, and over the number of spatial axes.

    Args:
        output_size: 1, for each spatial axis.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: another output size, whose windows differ from position to position; or low precision.
    """

    kind: ClassVar[Literal["max", "average"]]
    rank: ClassVar[int]

    def __init__(
        self,
        output_size: int | tuple[int, ...] = 1,
        *,
        iq: QuantizerLike = None,
        oq: QuantizerLike = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            iq=iq,
            oq=oq,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            device=device,
            dtype=dtype,
        )
        given: Any = output_size if isinstance(output_size, tuple | list) else (output_size,) * self.rank
        if tuple(given) != (1,) * self.rank:
            message = (
                f"output_size: received {output_size!r}, expected 1: windows of other sizes differ from position to "
                "position; use a pooling with a kernel_size"
            )
            raise ConfigError(message)
        self.begin((1,) * (self.rank + 1))

    def build(self, *shapes: Sequence[int]) -> None:
        """See `QModule.build`."""
        check_channels(shapes, (self.rank,), None, self.title)
        super().build(*shapes)

    def declaration(self) -> Declaration:
        """Pool over all positions, channels last inside."""
        return ChannelsFirst(GlobalPooling(self.kind, self.rank, keepdims=True))

    @property
    def fewest_axes(self) -> int:  # type: ignore[override]  # of the class in others
        """One image has a channel axis and the spatial ones."""
        return self.rank + 1

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # one input
        """The output for x ``(batch, *input_shape)``; see `QModule.forward`."""
        return super().forward(x)


class QAdaptiveMaxPool1d(_Adaptive):
    """The largest number of each channel of data ``(batch, channels, length)``, with trained widths.

    The arguments are those of `QMaxPool1d`, with an ``output_size``, 1, in place of the window.

    Args:
        output_size: 1, for each spatial axis.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> import torch
    >>> QAdaptiveMaxPool1d(1).eval()(torch.ones(1, 3, 4)).shape
    torch.Size([1, 3, 1])
    """

    kind: ClassVar[Literal["max", "average"]] = "max"
    rank: ClassVar[int] = 1


class QAdaptiveMaxPool2d(_Adaptive):
    """The largest number of each channel of data ``(batch, channels, height, width)``, with trained widths.

    The arguments are those of `QMaxPool2d`, with an ``output_size``, 1, in place of the window.

    Args:
        output_size: 1, for each spatial axis.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> import torch
    >>> QAdaptiveMaxPool2d(1).eval()(torch.ones(1, 3, 4, 4)).shape
    torch.Size([1, 3, 1, 1])
    """

    kind: ClassVar[Literal["max", "average"]] = "max"
    rank: ClassVar[int] = 2


class QAdaptiveMaxPool3d(_Adaptive):
    """The largest number of each channel of data ``(batch, channels, depth, height, width)``, with trained widths.

    The arguments are those of `QMaxPool3d`, with an ``output_size``, 1, in place of the window.

    Args:
        output_size: 1, for each spatial axis.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> import torch
    >>> QAdaptiveMaxPool3d(1).eval()(torch.ones(1, 3, 4, 4, 2)).shape
    torch.Size([1, 3, 1, 1, 1])
    """

    kind: ClassVar[Literal["max", "average"]] = "max"
    rank: ClassVar[int] = 3


class QAdaptiveAvgPool1d(_Adaptive):
    """The mean of each channel of data ``(batch, channels, length)``, with trained widths.

    The arguments are those of `QMaxPool1d`, with an ``output_size``, 1, in place of the window.

    Args:
        output_size: 1, for each spatial axis.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> import torch
    >>> QAdaptiveAvgPool1d(1).eval()(torch.ones(1, 3, 4)).shape
    torch.Size([1, 3, 1])
    """

    kind: ClassVar[Literal["max", "average"]] = "average"
    rank: ClassVar[int] = 1


class QAdaptiveAvgPool2d(_Adaptive):
    """The mean of each channel of data ``(batch, channels, height, width)``, with trained widths.

    The arguments are those of `QMaxPool2d`, with an ``output_size``, 1, in place of the window.

    Args:
        output_size: 1, for each spatial axis.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> import torch
    >>> QAdaptiveAvgPool2d(1).eval()(torch.ones(1, 3, 4, 4)).shape
    torch.Size([1, 3, 1, 1])
    """

    kind: ClassVar[Literal["max", "average"]] = "average"
    rank: ClassVar[int] = 2


class QAdaptiveAvgPool3d(_Adaptive):
    """The mean of each channel of data ``(batch, channels, depth, height, width)``, with trained widths.

    The arguments are those of `QMaxPool3d`, with an ``output_size``, 1, in place of the window.

    Args:
        output_size: 1, for each spatial axis.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> import torch
    >>> QAdaptiveAvgPool3d(1).eval()(torch.ones(1, 3, 4, 4, 2)).shape
    torch.Size([1, 3, 1, 1, 1])
    """

    kind: ClassVar[Literal["max", "average"]] = "average"
    rank: ClassVar[int] = 3
