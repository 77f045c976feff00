"""Pooling over windows, channels first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hgq_core.errors import ConfigError
from hgq_core.layers import ChannelsFirst, Pooling
from hgq_torch.nn._arguments import check_factor, per_axis
from hgq_torch.nn._base import QModule
from hgq_torch.nn._channels import check_channels, declared_padding

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike

__all__ = ["QAvgPool1d", "QAvgPool2d", "QAvgPool3d", "QMaxPool1d", "QMaxPool2d", "QMaxPool3d"]


class _Pool(QModule):
    """Abstract over maximum and mean."""

    kind: ClassVar[Literal["max", "average"]]
    rank: ClassVar[int]
    count_include_pad: bool

    def set_window(self, kernel_size: Any, stride: Any, padding: Any, factor: int) -> None:
        """Take the arguments that say what is pooled, and make the quantizers."""
        self.kernel_size = per_axis(kernel_size, self.rank, "kernel_size")
        self.stride = self.kernel_size if stride is None else per_axis(stride, self.rank, "stride")
        self.padding = declared_padding(padding, self.rank, ("valid", "same"))
        self.parallelization_factor = check_factor(factor)
        numbers = () if isinstance(self.padding, str) else self.padding
        if any(2 * before > size for (before, _), size in zip(numbers, self.kernel_size, strict=False)):
            message = f"padding: received {padding}, expected at most half of kernel_size {self.kernel_size}"
            raise ConfigError(message)
        first, *others = self.kernel_size
        self.begin((1, first + self.stride[0] * (max(factor, 1) - 1), *others))

    def build(self, *shapes: Sequence[int]) -> None:
        """See `QModule.build`."""
        check_channels(shapes, (self.rank,), None, self.title)
        super().build(*shapes)

    def declaration(self) -> Declaration:
        """Pool, for a mean times ``1 / n``, channels last inside."""
        return ChannelsFirst(
            Pooling(
                self.kind,
                self.kernel_size,
                self.stride,
                self.padding,
                self.parallelization_factor,
                self.count_include_pad,
            )
        )

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"{type(self).__name__}({self.kernel_size})"

    @property
    def fewest_axes(self) -> int:  # type: ignore[override]  # of the class in others
        """One image has a channel axis and the spatial ones."""
        return self.rank + 1

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # one input
        """The output for x ``(batch, *input_shape)``; see `QModule.forward`."""
        return super().forward(x)

    def extra_repr(self) -> str:
        """The window."""
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _MaxPool(_Pool):
    """Abstract over the number of spatial axes; the arguments are those of `QMaxPool2d`."""

    kind: ClassVar[Literal["max", "average"]] = "max"

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] | str = 0,
        *,
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
            iq=iq,
            oq=oq,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            device=device,
            dtype=dtype,
        )
        self.count_include_pad = False
        self.set_window(kernel_size, stride, padding, parallelization_factor)


class _AvgPool(_Pool):
    """Abstract over the number of spatial axes; the arguments are those of `QAvgPool2d`."""

    kind: ClassVar[Literal["max", "average"]] = "average"

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] | str = 0,
        count_include_pad: bool = True,
        *,
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
            iq=iq,
            oq=oq,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            device=device,
            dtype=dtype,
        )
        self.count_include_pad = bool(count_include_pad)
        self.set_window(kernel_size, stride, padding, parallelization_factor)


class QMaxPool1d(_MaxPool):
    """The largest number of each window of sequences ``(batch, channels, length)``, whose input has trained widths.

    Args:
        kernel_size: of the window, a number; so for the next ones.
        stride: of the window, None for kernel_size.
        padding: on both sides, at most half of the window, or ``"valid"`` or ``"same"``; it never wins a maximum and
            adds nothing to a sum.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many windows are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, more padding, or low precision.

    >>> import torch
    >>> QMaxPool1d(2).eval()(torch.ones(1, 3, 4)).shape
    torch.Size([1, 3, 2])
    """

    rank: ClassVar[int] = 1


class QMaxPool2d(_MaxPool):
    """The largest number of each window of images ``(batch, channels, height, width)``, with trained widths.

    Args:
        kernel_size: of the window, a number, or one for height and one for width; so for the next ones.
        stride: of the window, None for kernel_size.
        padding: on both sides, at most half of the window, or ``"valid"`` or ``"same"``; it never wins a maximum and
            adds nothing to a sum.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many windows are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, more padding, or low precision.

    >>> import torch
    >>> QMaxPool2d(2).eval()(torch.ones(1, 3, 4, 6)).shape
    torch.Size([1, 3, 2, 3])
    """

    rank: ClassVar[int] = 2


class QMaxPool3d(_MaxPool):
    """The largest number of each window of volumes ``(batch, channels, depth, height, width)``, with trained widths.

    Args:
        kernel_size: of the window, a number, or one for each of depth, height, width; so for the next ones.
        stride: of the window, None for kernel_size.
        padding: on both sides, at most half of the window, or ``"valid"`` or ``"same"``; it never wins a maximum and
            adds nothing to a sum.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many windows are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, more padding, or low precision.

    >>> import torch
    >>> QMaxPool3d(2).eval()(torch.ones(1, 3, 4, 4, 2)).shape
    torch.Size([1, 3, 2, 2, 1])
    """

    rank: ClassVar[int] = 3


class QAvgPool1d(_AvgPool):
    """The mean of each window of sequences ``(batch, channels, length)``, whose input has trained widths.

    It is a sum times ``1 / n``; where n is no power of two, ``1 / n`` is rounded to 12 significant bits, so that
    training and hardware compute the same number.

    Args:
        kernel_size: of the window, a number; so for the next ones.
        stride: of the window, None for kernel_size.
        padding: on both sides, at most half of the window, or ``"valid"`` or ``"same"``; it never wins a maximum and
            adds nothing to a sum.
        count_include_pad: whether the padding counts among the numbers that are averaged.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many windows are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, more padding, or low precision.

    >>> import torch
    >>> QAvgPool1d(2).eval()(torch.ones(1, 3, 4)).shape
    torch.Size([1, 3, 2])
    """

    rank: ClassVar[int] = 1


class QAvgPool2d(_AvgPool):
    """The mean of each window of images ``(batch, channels, height, width)``, whose input has trained widths.

    It is a sum times ``1 / n``; where n is no power of two, ``1 / n`` is rounded to 12 significant bits, so that
    training and hardware compute the same number.

    Args:
        kernel_size: of the window, a number, or one for height and one for width; so for the next ones.
        stride: of the window, None for kernel_size.
        padding: on both sides, at most half of the window, or ``"valid"`` or ``"same"``; it never wins a maximum and
            adds nothing to a sum.
        count_include_pad: whether the padding counts among the numbers that are averaged.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many windows are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, more padding, or low precision.

    >>> import torch
    >>> QAvgPool2d(2).eval()(torch.ones(1, 3, 4, 6)).shape
    torch.Size([1, 3, 2, 3])
    """

    rank: ClassVar[int] = 2


class QAvgPool3d(_AvgPool):
    """The mean of each window of volumes ``(batch, channels, depth, height, width)``, whose input has trained widths.

    It is a sum times ``1 / n``; where n is no power of two, ``1 / n`` is rounded to 12 significant bits, so that
    training and hardware compute the same number.

    Args:
        kernel_size: of the window, a number, or one for each of depth, height, width; so for the next ones.
        stride: of the window, None for kernel_size.
        padding: on both sides, at most half of the window, or ``"valid"`` or ``"same"``; it never wins a maximum and
            adds nothing to a sum.
        count_include_pad: whether the padding counts among the numbers that are averaged.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many windows are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, more padding, or low precision.

    >>> import torch
    >>> QAvgPool3d(2).eval()(torch.ones(1, 3, 4, 4, 2)).shape
    torch.Size([1, 3, 2, 2, 1])
    """

    rank: ClassVar[int] = 3
