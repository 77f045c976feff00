"""Batch normalisation with trained widths of scale and offset, channels first."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from hgq_core.layers import BatchNormalization, ChannelsFirst
from hgq_torch._slots import Layout
from hgq_torch.nn._arguments import averaging, positive
from hgq_torch.nn._base import QModule
from hgq_torch.nn._channels import check_channels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike
    from hgq_torch._quantizer import Quantizer

__all__ = ["QBatchNorm1d", "QBatchNorm2d", "QBatchNorm3d"]


class _BatchNorm(QModule):
    """Abstract over the spatial axes."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    kq: Quantizer
    bq: Quantizer
    ranks: ClassVar[Sequence[int]]
    layouts: ClassVar[Mapping[str, Layout]] = {
        "gamma": Layout("weight"),
        "beta": Layout("bias"),
        "moving_mean": Layout("running_mean"),
        "moving_variance": Layout("running_var"),
    }

    def set_options(self, num_features: int, eps: float, momentum: float | None, affine: bool) -> None:
        """Take the arguments that say how it normalises."""
        self.num_features = positive(num_features, "num_features")
        self.eps, self.momentum = averaging(eps, momentum)
        self.affine = bool(affine)
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.int64, device=self.beta.device))

    def build(self, *shapes: Sequence[int]) -> None:
        """See `QModule.build`."""
        check_channels(shapes, self.ranks, self.num_features, self.title)
        super().build(*shapes)

    def declaration(self) -> Declaration:
        """Multiply, Add, channels last inside."""
        return ChannelsFirst(BatchNormalization(self.eps, center=self.affine, scale=self.affine))

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"{type(self).__name__}({self.num_features})"

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # one input
        """The output for x ``(batch, *input_shape)``; see `QModule.forward`."""
        return super().forward(x)

    def extra_repr(self) -> str:
        """Features and options."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"


class QBatchNorm1d(_BatchNorm):
    r"""Batch normalisation by a quantized scale and offset, of vectors or of sequences with channels first.

    .. math:: y = Q_o(Q_i(x) \, Q_k(s) + Q_b(o)), \quad s = \gamma / \sqrt{\sigma^2 + \epsilon}, \quad o = \beta - \mu s

    In training mean and variance are those of the batch; at inference the running averages, of which the variance is
    unbiased. Names and momentum are those of `torch.nn.BatchNorm1d`: ``weight`` and ``bias`` are gamma and beta.

    Args:
        num_features: channels.
        eps: added to the variance.
        momentum: how far the running averages go to those of each batch, 0 to 1; None: they are those of all batches.
        affine: whether gamma and beta are learned.
        kq: quantizer of the scale, seen as ``(num_features,)``; see `QLinear`.
        bq: quantizer of the offset, seen as ``(num_features,)``.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, an eps that is not above 0, a momentum outside of 0 to 1, or low precision.

    Shape: ``(batch, num_features)`` or ``(batch, num_features, length)``.

    >>> import torch
    >>> QBatchNorm1d(3).eval()(torch.zeros(4, 3)).shape
    torch.Size([4, 3])
    """

    ranks: ClassVar[Sequence[int]] = (0, 1)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        *,
        kq: QuantizerLike = None,
        bq: QuantizerLike = None,
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
            quantizers={"kq": kq, "bq": bq},
            device=device,
            dtype=dtype,
        )
        self.set_options(num_features, eps, momentum, affine)
        self.begin((num_features,))


class QBatchNorm2d(_BatchNorm):
    r"""Batch normalisation by a quantized scale and offset, of images with channels first.

    .. math:: y = Q_o(Q_i(x) \, Q_k(s) + Q_b(o)), \quad s = \gamma / \sqrt{\sigma^2 + \epsilon}, \quad o = \beta - \mu s

    In training mean and variance are those of the batch; at inference the running averages, of which the variance is
    unbiased. Names and momentum are those of `torch.nn.BatchNorm2d`: ``weight`` and ``bias`` are gamma and beta.

    Args:
        num_features: channels.
        eps: added to the variance.
        momentum: how far the running averages go to those of each batch, 0 to 1; None: they are those of all batches.
        affine: whether gamma and beta are learned.
        kq: quantizer of the scale, seen as ``(num_features,)``; see `QLinear`.
        bq: quantizer of the offset, seen as ``(num_features,)``.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, an eps that is not above 0, a momentum outside of 0 to 1, or low precision.

    Shape: ``(batch, num_features, height, width)``.

    >>> import torch
    >>> QBatchNorm2d(3).eval()(torch.zeros(4, 3, 2, 2)).shape
    torch.Size([4, 3, 2, 2])
    """

    ranks: ClassVar[Sequence[int]] = (2,)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        *,
        kq: QuantizerLike = None,
        bq: QuantizerLike = None,
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
            quantizers={"kq": kq, "bq": bq},
            device=device,
            dtype=dtype,
        )
        self.set_options(num_features, eps, momentum, affine)
        self.begin((num_features, 1, 1))


class QBatchNorm3d(_BatchNorm):
    r"""Batch normalisation by a quantized scale and offset, of volumes with channels first.

    .. math:: y = Q_o(Q_i(x) \, Q_k(s) + Q_b(o)), \quad s = \gamma / \sqrt{\sigma^2 + \epsilon}, \quad o = \beta - \mu s

    In training mean and variance are those of the batch; at inference the running averages, of which the variance is
    unbiased. Names and momentum are those of `torch.nn.BatchNorm3d`: ``weight`` and ``bias`` are gamma and beta.

    Args:
        num_features: channels.
        eps: added to the variance.
        momentum: how far the running averages go to those of each batch, 0 to 1; None: they are those of all batches.
        affine: whether gamma and beta are learned.
        kq: quantizer of the scale, seen as ``(num_features,)``; see `QLinear`.
        bq: quantizer of the offset, seen as ``(num_features,)``.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, an eps that is not above 0, a momentum outside of 0 to 1, or low precision.

    Shape: ``(batch, num_features, depth, height, width)``.

    >>> import torch
    >>> QBatchNorm3d(3).eval()(torch.zeros(4, 3, 2, 2, 2)).shape
    torch.Size([4, 3, 2, 2, 2])
    """

    ranks: ClassVar[Sequence[int]] = (3,)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        *,
        kq: QuantizerLike = None,
        bq: QuantizerLike = None,
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
            quantizers={"kq": kq, "bq": bq},
            device=device,
            dtype=dtype,
        )
        self.set_options(num_features, eps, momentum, affine)
        self.begin((num_features, 1, 1))
