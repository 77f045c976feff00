"""Normalisation of each example by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hgq_core.errors import ShapeError
from hgq_core.layers import LayerNormalization
from hgq_torch._slots import Layout
from hgq_torch.nn._arguments import averaging, positive
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import Tensor

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike

__all__ = ["QLayerNorm", "QRMSNorm"]


class _Normalisation(QModule):
    """Abstract over whether the mean is taken away."""

    subtract_mean: ClassVar[bool]
    layouts: ClassVar[Mapping[str, Layout]] = {"ln_gamma": Layout("weight"), "ln_beta": Layout("bias")}

    def set_options(
        self, normalized_shape: int | Sequence[int], eps: float, elementwise_affine: bool, bias: bool
    ) -> None:
        """Take the arguments that say how it normalises."""
        given: Any = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape = tuple(positive(n, "normalized_shape") for n in given)
        self.eps, _ = averaging(eps, None)
        self.elementwise_affine, self.use_bias = bool(elementwise_affine), bool(bias and elementwise_affine)
        self.begin(self.normalized_shape)

    def build(self, *shapes: Sequence[int]) -> None:
        """See `QModule.build`."""
        own = self.normalized_shape
        if len(shapes) != 1 or tuple(shapes[0][-len(own) :]) != own:
            message = f"{self.title}: received {[tuple(s) for s in shapes]}, expected (batch, ..., {own}) at the end"
            raise ShapeError(message)
        super().build(*shapes)

    def declaration(self) -> Declaration:
        """A sum, a difference, squares, their sum, a table, two products."""
        axes = tuple(-n for n in range(len(self.normalized_shape), 0, -1))
        return LayerNormalization(axes, self.eps, self.subtract_mean, self.use_bias, self.elementwise_affine)

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"{type(self).__name__}({self.normalized_shape})"

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # one input
        """The output for x ``(batch, *input_shape)``; see `QModule.forward`."""
        return super().forward(x)

    def extra_repr(self) -> str:
        """Shape and options."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class QLayerNorm(_Normalisation):
    """``y = nq(c r) kq(weight) + bq(bias)`` of ``c = cq(iq(x) - mq(mean))``, ``r = 1 / sqrt(mean(c^2) + eps)``.

    Exact in hardware: ``r`` is a trained table of one number for each vector, with the quantizers ``inv_iq`` and
    ``inv_oq``. It costs a sum, a difference, a square, a sum, the table and two products for each element.

    Args:
        normalized_shape: sizes of the last axes, over which it normalises.
        eps: added to the mean square.
        elementwise_affine: whether there is a learned scale.
        bias: whether there is a learned offset too.
        kq: quantizer of the scale; see `QLinear`.
        bq: quantizer of the offset.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        mq: quantizer of the mean.
        cq: quantizer of what is centred.
        nq: quantizer of what is normalised, before the scale.
        inv_iq: input quantizer of the table, one width for the tensor.
        inv_oq: its output quantizer, by default without a sign, saturating, of the place ``table``.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, an eps that is not above 0, or low precision.
        ShapeError: data that do not end in normalized_shape.

    >>> import torch
    >>> QLayerNorm(4)(torch.ones(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    subtract_mean: ClassVar[bool] = True

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        kq: QuantizerLike = None,
        bq: QuantizerLike = None,
        iq: QuantizerLike = None,
        mq: QuantizerLike = None,
        cq: QuantizerLike = None,
        nq: QuantizerLike = None,
        inv_iq: QuantizerLike = None,
        inv_oq: QuantizerLike = None,
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
            quantizers={"kq": kq, "bq": bq, "mq": mq, "cq": cq, "nq": nq, "inv/iq": inv_iq, "inv/oq": inv_oq},
            device=device,
            dtype=dtype,
        )
        self.set_options(normalized_shape, eps, elementwise_affine, bias)


class QRMSNorm(_Normalisation):
    """``y = nq(x r) kq(weight)`` of ``x = iq(x)``, ``r = 1 / sqrt(mean(x^2) + eps)``; see `QLayerNorm`.

    Args:
        normalized_shape: sizes of the last axes, over which it normalises.
        eps: added to the mean square; None: the smallest step of float32 at 1, as in PyTorch.
        elementwise_affine: whether there is a learned scale.
        kq: quantizer of the scale; see `QLinear`.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        nq: quantizer of what is normalised, before the scale.
        inv_iq: input quantizer of the table, one width for the tensor.
        inv_oq: its output quantizer, by default without a sign, saturating, of the place ``table``.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, an eps that is not above 0, or low precision.
        ShapeError: data that do not end in normalized_shape.

    >>> import torch
    >>> QRMSNorm(4)(torch.ones(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    subtract_mean: ClassVar[bool] = False

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        kq: QuantizerLike = None,
        iq: QuantizerLike = None,
        nq: QuantizerLike = None,
        inv_iq: QuantizerLike = None,
        inv_oq: QuantizerLike = None,
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
            quantizers={"kq": kq, "nq": nq, "inv/iq": inv_iq, "inv/oq": inv_oq},
            device=device,
            dtype=dtype,
        )
        self.set_options(normalized_shape, 1.1920928955078125e-07 if eps is None else eps, elementwise_affine, False)
