"""Pooling over images, channels first."""

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

__all__ = ["QAvgPool2d", "QMaxPool2d"]


class _Pool(QModule):
    """Abstract over maximum and mean."""

    kind: ClassVar[Literal["max", "average"]]
    count_include_pad: bool

    def set_window(self, kernel_size: Any, stride: Any, padding: Any, factor: int) -> None:
        """Take the arguments that say what is pooled, and make the quantizers."""
        self.kernel_size = per_axis(kernel_size, 2, "kernel_size")
        self.stride = self.kernel_size if stride is None else per_axis(stride, 2, "stride")
        self.padding = declared_padding(padding, 2, ("valid", "same"))
        self.parallelization_factor = check_factor(factor)
        numbers = () if isinstance(self.padding, str) else self.padding
        if any(2 * before > size for (before, _), size in zip(numbers, self.kernel_size, strict=False)):
            message = f"padding: received {padding}, expected at most half of kernel_size {self.kernel_size}"
            raise ConfigError(message)
        first, second = self.kernel_size
        self.begin((1, first + self.stride[0] * (max(factor, 1) - 1), second))

    def build(self, *shapes: Sequence[int]) -> None:
        """See `QModule.build`."""
        check_channels(shapes, (2,), None, self.title)
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

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # one input
        """The output for x ``(batch, *input_shape)``; see `QModule.forward`."""
        return super().forward(x)

    def extra_repr(self) -> str:
        """The window."""
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding}"


class QMaxPool2d(_Pool):
    """The largest number of each window of images ``(batch, channels, height, width)``, whose input has trained widths.

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

    kind: ClassVar[Literal["max", "average"]] = "max"

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] | str = 0,
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


class QAvgPool2d(_Pool):
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

    kind: ClassVar[Literal["max", "average"]] = "average"

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] | str = 0,
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
