"""Sums of several tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_core.errors import ConfigError
from hgq_core.graph.ops import Add
from hgq_core.layers import Merge
from hgq_torch.nn._arguments import positive
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    import torch

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike

__all__ = ["QAdd"]


class QAdd(QModule):
    """The sum of several tensors, element by element, each of which has trained widths.

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
        self.number = positive(number, "number")
        if number < 2:
            message = f"number: received {number}, expected two tensors or more"
            raise ConfigError(message)
        self.begin(*[(1,)] * number)

    def declaration(self) -> Declaration:
        """Add."""
        return Merge(Add())

    def extra_repr(self) -> str:
        """Number of tensors."""
        return str(self.number)
