"""Sums and means over axes of one tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_core.layers import Mean, Sum, check_scale, inner_axis
from hgq_torch.nn._arguments import data_dims
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from hgq_core.graph.ops import Shape
    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike

__all__ = ["QMean", "QSum"]


class _Reduced(QModule):
    """Abstract over what it declares; the arguments are those of `QSum`."""

    def __init__(
        self,
        dim: int | Sequence[int] = -1,
        keepdim: bool = False,
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
        self.dim = data_dims(dim)
        self.keepdim = bool(keepdim)

    def start(self) -> None:
        """Make the quantizers, for the fewest axes that the arguments allow."""
        # Axes that count from both ends may be different ones, which data of few axes do not show.
        self.begin((1,) * (max(0, *self.dim) + max(0, *(-axis for axis in self.dim))))

    def inner_axes(self, shape: Shape) -> tuple[int, ...]:
        """The axes as declarations count them."""
        return tuple(inner_axis(axis, len(shape) + 1, "dim") for axis in self.dim)

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"{type(self).__name__}(dim={self.dim})"

    def extra_repr(self) -> str:
        """Axes."""
        return f"dim={self.dim}, keepdim={self.keepdim}"


class QSum(_Reduced):
    """``y = scale * sum(iq(x))`` over axes.

    EBOPs: ``0.65 * (sum of bits - sum over the output of the smallest operand's bits)``.

    Args:
        dim: over which, one or several; the batch axis is 0.
        keepdim: keep the axes with size 1.
        scale: a power of two, which costs nothing.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: the batch axis, an axis that the data do not have, a scale that is no power of two, low precision.

    >>> import torch
    >>> QSum(dim=1)(torch.ones(1, 2, 3)).shape
    torch.Size([1, 3])
    """

    def __init__(
        self,
        dim: int | Sequence[int] = -1,
        keepdim: bool = False,
        scale: float = 1.0,
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
            dim,
            keepdim,
            iq=iq,
            oq=oq,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            device=device,
            dtype=dtype,
        )
        self.scale = check_scale(scale)
        self.start()

    def declaration(self) -> Declaration:
        """Reduce, Multiply."""
        return lambda t, x: Sum(self.inner_axes(t.shape(x)), self.scale, self.keepdim)(t, x)


class QMean(_Reduced):
    """``y = 2**round(log2(1 / n)) * sum(iq(x))`` over axes of n elements: their mean, where n is a power of two.

    EBOPs are those of `QSum`.

    Args:
        dim: over which, one or several; the batch axis is 0.
        keepdim: keep the axes with size 1.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: the batch axis, an axis that the data do not have, or low precision.

    >>> import torch
    >>> QMean()(torch.ones(1, 3)).item()
    0.75
    """

    def __init__(
        self,
        dim: int | Sequence[int] = -1,
        keepdim: bool = False,
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
            dim,
            keepdim,
            iq=iq,
            oq=oq,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            device=device,
            dtype=dtype,
        )
        self.start()

    def declaration(self) -> Declaration:
        """Reduce, Multiply."""
        return lambda t, x: Mean(self.inner_axes(t.shape(x)), self.keepdim)(t, x)
