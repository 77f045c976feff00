"""Softmax of two trained tables."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import ConfigError
from hgq_core.layers import Softmax
from hgq_torch.nn._arguments import check_factor
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike
    from hgq_torch._quantizer import Quantizer

__all__ = ["QSoftmax"]


class QSoftmax(QModule):
    r"""Softmax, of a trained table of exponentials and one of reciprocals.

    .. math:: y = Q_o(e \, r), \quad e = Q_{eo}(\exp(-s \, Q_{ei}(\max(x) - x))), \quad
        r = Q_{ro}(1 / Q_{ri}(\textstyle\sum e))

    Without ``stable``, e is the table of ``exp(s x)``. At inference both give the very numbers that the tables hold.

    Args:
        dim: over which it normalises, or several of them, the batch axis being 0; negative ones count from the end.
        stable: subtract from the maximum first, so that no exponential overflows.
        input_scaler: s above.
        allow_heterogeneous_table: whether elements may have tables of their own; False: one for the whole tensor.
        mask: bools that broadcast to the data without batch axis, True where an element takes part; the others are 0
            and cost nothing. Hardware has one mask: it is an argument of the layer, not of its call.
        exp_iq: input quantizer of the table of exponentials; see `QLinear`.
        exp_oq: its output quantizer, by default without a sign, saturating, RND_CONV, of the place ``table``.
        inv_iq: input quantizer of the table of reciprocals.
        inv_oq: its output quantizer, as ``exp_oq``.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; giving one enables it.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; EBOPs of the subtraction are counted only then.
        enable_oq: whether the output is quantized; the scope's default if None, as are the next ones.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many vectors are normalised in parallel, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: the batch axis, an axis that the data does not have, a scaler that is not finite, low precision.

    >>> import torch
    >>> QSoftmax()(torch.zeros(1, 4)).sum().round().item()
    1.0
    """

    exp_iq: Quantizer
    exp_oq: Quantizer
    inv_iq: Quantizer
    inv_oq: Quantizer

    def __init__(
        self,
        dim: int | Sequence[int] = -1,
        stable: bool = True,
        input_scaler: float = 1.0,
        allow_heterogeneous_table: bool = False,
        *,
        mask: Any = None,
        exp_iq: QuantizerLike = None,
        exp_oq: QuantizerLike = None,
        inv_iq: QuantizerLike = None,
        inv_oq: QuantizerLike = None,
        iq: QuantizerLike = None,
        oq: QuantizerLike = None,
        enable_iq: bool = False,
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
            enable_iq=enable_iq or iq is not None,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            quantizers={"exp/iq": exp_iq, "exp/oq": exp_oq, "inv/iq": inv_iq, "inv/oq": inv_oq},
            device=device,
            dtype=dtype,
        )
        self.dim = (dim,) if isinstance(dim, int) else tuple(dim)
        if 0 in self.dim or not self.dim:
            message = f"dim: received {dim!r}, expected axes of the data other than the batch axis, 0"
            raise ConfigError(message)
        if not isfinite(input_scaler):
            message = f"input_scaler: received {input_scaler!r}, expected a finite number"
            raise ConfigError(message)
        self.stable = bool(stable)
        self.input_scaler = float(input_scaler)
        self.allow_heterogeneous_table = bool(allow_heterogeneous_table)
        self.parallelization_factor = check_factor(parallelization_factor)
        self.mask = None if mask is None else np.asarray(mask, bool)
        before, behind = max(0, *self.dim), max(0, *(-axis for axis in self.dim))
        smallest = (*(1,) * before, max(self.parallelization_factor, 1), *(1,) * behind)
        self.begin(smallest if self.mask is None else np.broadcast_shapes(smallest, self.mask.shape))

    def declaration(self) -> Declaration:
        """Subtract, a table, Reduce, a table, Multiply."""
        return Softmax(
            tuple(axis - 1 if axis > 0 else axis for axis in self.dim),
            self.stable,
            self.input_scaler,
            self.allow_heterogeneous_table,
            self.parallelization_factor,
            self.mask,
        )

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"QSoftmax(dim={self.dim})"

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # one input
        """The output for x ``(batch, *input_shape)``; see `QModule.forward`."""
        return super().forward(x)

    def extra_repr(self) -> str:
        """Axes and options."""
        return f"dim={self.dim}, stable={self.stable}, input_scaler={self.input_scaler}"
