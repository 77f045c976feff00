"""Layers of sums of products of two tensors of data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_core.errors import ConfigError
from hgq_core.layers import Contraction, Dot, Matmul, check_equation, inner_axis
from hgq_torch.nn._arguments import data_dims
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    import torch

    from hgq_core.graph.ops import Shape
    from hgq_core.layers import Declaration, Trace, Value
    from hgq_torch._make import QuantizerLike

__all__ = ["QDot", "QEinsum", "QMatmul"]


class QEinsum(QModule):
    """``y = einsum(equation, iq_0(x_0), iq_1(x_1))`` of two tensors of data.

    EBOPs: the same contraction of the two tensors of bits, summed.

    Args:
        equation: of two operands, the batch axis first in each and in the output: ``"bij,bjk->bik"``;
            ``...`` stands for the same axes in each.
        iq: what the quantizers ``iq_0`` and ``iq_1`` of the inputs are made of, not a `hgq_torch.Quantizer`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the inputs are quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: no equation of two operands, or low precision.
        ShapeError: the batch axis is not first, or the shapes do not fit.

    >>> import torch
    >>> QEinsum("bij,bkj->bik")(torch.ones(1, 2, 3), torch.ones(1, 4, 3)).shape
    torch.Size([1, 2, 4])
    """

    def __init__(
        self,
        equation: str,
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
        self.equation = check_equation(equation)
        self.begin(*map(_smallest, equation.replace(" ", "").partition("->")[0].split(",")))

    def declaration(self) -> Declaration:
        """Contract."""
        return Contraction(self.equation)

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"QEinsum({self.equation!r})"

    def extra_repr(self) -> str:
        """The equation."""
        return repr(self.equation)


class QDot(QModule):
    """The dot products of two tensors along one axis each; all other axes of the first, then of the second.

    Of two vectors the result is ``(batch, 1)``.

    EBOPs: the same contraction of the two tensors of bits, summed.

    Args:
        dims: one axis for both tensors, or one for each; the batch axis is 0.
        iq: what the quantizers ``iq_0`` and ``iq_1`` of the inputs are made of, not a `hgq_torch.Quantizer`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the inputs are quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: the batch axis, an axis that a tensor does not have, or low precision.
        ShapeError: axes of different sizes.

    >>> import torch
    >>> QDot()(torch.ones(1, 3), torch.ones(1, 3)).shape
    torch.Size([1, 1])
    """

    def __init__(
        self,
        dims: int | tuple[int, int] = -1,
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
        self.dims = data_dims((dims, dims) if isinstance(dims, int) else dims)
        if len(self.dims) != 2:
            message = f"dims: received {dims!r}, expected an axis, or one for each of both tensors"
            raise ConfigError(message)
        self.begin(*((1,) * max(1, axis, -axis) for axis in self.dims))

    def declaration(self) -> Declaration:
        """Contract."""
        return self._declared

    def _declared(self, t: Trace, *xs: Value) -> Value:
        first, second = (inner_axis(n, len(t.shape(x)) + 1, "dims") for n, x in zip(self.dims, xs, strict=True))
        return Dot((first, second))(t, *xs)

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"QDot(dims={self.dims})"

    def extra_repr(self) -> str:
        """The axes."""
        return f"dims={self.dims}"


class QMatmul(QModule):
    """The product of two stacks of matrices, as `torch.matmul`: ``(batch, ..., n, m)`` and ``(batch, ..., m, k)``.

    EBOPs: the same product of the two tensors of bits, summed.

    Args:
        iq: what the quantizers ``iq_0`` and ``iq_1`` of the inputs are made of, not a `hgq_torch.Quantizer`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the inputs are quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ShapeError: other numbers of axes than two and more behind the batch, the same in both; sizes that do not fit.
        ConfigError: low precision.

    >>> import torch
    >>> QMatmul()(torch.ones(1, 2, 3), torch.ones(1, 3, 4)).shape
    torch.Size([1, 2, 4])
    """

    def __init__(
        self,
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
        self.begin((1, 1), (1, 1))

    def declaration(self) -> Declaration:
        """Contract."""
        return Matmul()


def _smallest(term: str) -> Shape:
    """A shape, batch axis left out, that a term takes: its ellipsis stands for no axis but the batch."""
    named = len(term.replace("...", ""))
    return (1,) * (named if term.startswith("...") else max(named - 1, 0))
