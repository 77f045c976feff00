"""Layers that combine several tensors element by element, or one behind the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_core.errors import ConfigError
from hgq_core.graph.ops import Add, Maximum, Minimum, Multiply, Subtract
from hgq_core.layers import Average, Joined, Merge, inner_axis
from hgq_torch.nn._arguments import data_dims, positive
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    import torch

    from hgq_core.layers import Declaration, Trace, Value
    from hgq_torch._make import QuantizerLike

__all__ = ["QAdd", "QAverage", "QCat", "QMaximum", "QMinimum", "QMul", "QSub", "counted"]


class _Elementwise(QModule):
    """Abstract over the operation: several tensors, element by element; the arguments are those of `QAdd`."""

    def __init__(
        self,
        number: int = 2,
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
        self.number = counted(number)
        self.begin(*[(1,)] * number)

    def extra_repr(self) -> str:
        """Number of tensors."""
        return str(self.number)


class QAdd(_Elementwise):
    """The sum of several tensors, element by element, each of which has trained widths.

    EBOPs: ``0.65 * (sum of bits - sum of the smallest operand's bits)``.

    Args:
        number: of tensors.
        iq: what the quantizers ``iq_0``, ``iq_1``, ... of the inputs are made of, not a `hgq_torch.Quantizer`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the inputs are quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: fewer than two tensors, one Quantizer for all of them, or low precision.

    Shape: tensors that broadcast together, of one rank.

    >>> import torch
    >>> QAdd()(torch.ones(2, 3), torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """

    def declaration(self) -> Declaration:
        """Add."""
        return Merge(Add())


class QSub(_Elementwise):
    """The difference of two tensors; the arguments are those of `QAdd`.

    Args:
        number: of tensors, two.
        iq: what the quantizers ``iq_0``, ``iq_1``, ... of the inputs are made of, not a `hgq_torch.Quantizer`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the inputs are quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> import torch
    >>> QSub()(torch.ones(2, 3), torch.ones(2, 3)).sum().item()
    0.0
    """

    def declaration(self) -> Declaration:
        """Subtract."""
        return Merge(Subtract())


class QMul(_Elementwise):
    """The product of several tensors; the arguments are those of `QAdd`. EBOPs: the sum of the products of bits.

    Args:
        number: of tensors.
        iq: what the quantizers ``iq_0``, ``iq_1``, ... of the inputs are made of, not a `hgq_torch.Quantizer`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the inputs are quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> import torch
    >>> QMul()(torch.ones(2, 3), torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """

    def declaration(self) -> Declaration:
        """Multiply."""
        return Merge(Multiply())


class QMaximum(_Elementwise):
    """The largest of several tensors; the arguments are those of `QAdd`. EBOPs: ``sum - smallest`` of the bits.

    Args:
        number: of tensors.
        iq: what the quantizers ``iq_0``, ``iq_1``, ... of the inputs are made of, not a `hgq_torch.Quantizer`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the inputs are quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> import torch
    >>> QMaximum()(torch.ones(2, 3), torch.zeros(2, 3)).sum().item()
    6.0
    """

    def declaration(self) -> Declaration:
        """Maximum."""
        return Merge(Maximum())


class QMinimum(_Elementwise):
    """The smallest of several tensors; the arguments are those of `QAdd`, EBOPs those of `QMaximum`.

    Args:
        number: of tensors.
        iq: what the quantizers ``iq_0``, ``iq_1``, ... of the inputs are made of, not a `hgq_torch.Quantizer`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the inputs are quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> import torch
    >>> QMinimum()(torch.ones(2, 3), torch.zeros(2, 3)).sum().item()
    0.0
    """

    def declaration(self) -> Declaration:
        """Minimum."""
        return Merge(Minimum())


class QAverage(_Elementwise):
    """``2**round(log2(1 / n))`` times the sum of n tensors, their mean where n is a power of two; see `QAdd`.

    Args:
        number: of tensors.
        iq: what the quantizers ``iq_0``, ``iq_1``, ... of the inputs are made of, not a `hgq_torch.Quantizer`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the inputs are quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    >>> import torch
    >>> QAverage()(torch.ones(2, 3), torch.zeros(2, 3)).sum().item()
    3.0
    """

    def declaration(self) -> Declaration:
        """Add, Multiply."""
        return Average()


class QCat(QModule):
    """The quantized tensors one behind the other along an axis, as `torch.cat`; it costs nothing.

    Args:
        number: of tensors.
        dim: along which; the batch axis is 0.
        iq: what the quantizers ``iq_0``, ``iq_1``, ... of the inputs are made of, not a `hgq_torch.Quantizer`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the inputs are quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: fewer than two tensors, the batch axis, or low precision.

    >>> import torch
    >>> QCat(dim=1)(torch.ones(2, 3), torch.ones(2, 4)).shape
    torch.Size([2, 7])
    """

    def __init__(
        self,
        number: int = 2,
        dim: int = -1,
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
        self.number, (self.dim,) = counted(number), data_dims((dim,))
        self.begin(*[(1,) * max(self.dim, -self.dim, 1)] * self.number)

    def declaration(self) -> Declaration:
        """Concatenate."""
        return self._declared

    def _declared(self, t: Trace, *xs: Value) -> Value:
        return Joined(inner_axis(self.dim, len(t.shape(xs[0])) + 1, "dim"))(t, *xs)

    def extra_repr(self) -> str:
        """Number of tensors, and the axis."""
        return f"{self.number}, dim={self.dim}"


def counted(number: int) -> int:
    """A number of tensors; raises ConfigError unless there are two or more."""
    if positive(number, "number") < 2:
        message = f"number: received {number}, expected two tensors or more"
        raise ConfigError(message)
    return int(number)
