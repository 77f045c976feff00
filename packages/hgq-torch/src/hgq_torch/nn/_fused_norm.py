"""Layers of rows, and of an equation, whose weight and bias have a batch normalisation folded in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from hgq_core.layers import BatchNormDense, Dense, FoldedNorm, ShapedEinsum
from hgq_torch._slots import Layout, Turn
from hgq_torch.nn._arguments import check_factor, positive
from hgq_torch.nn._einsum import glorot_bound
from hgq_torch.nn._normalised import NORM, Normalised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike
    from hgq_torch.nn._activated import ActivationLike

__all__ = ["QBatchNormLinear", "QEinsumDenseBatchNorm", "QLinearBatchNorm"]


class _FoldedLinear(Normalised):
    """Abstract over where the norm is: a layer of rows."""

    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": Layout("weight", Turn.of((1, 0))), **NORM}

    def __init__(
        self,
        in_features: int,
        out_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        activation: ActivationLike = None,
        *,
        kq: QuantizerLike = None,
        bq: QuantizerLike = None,
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
            activation,
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
        self.in_features = positive(in_features, "in_features")
        self.out_features = positive(out_features, "out_features")
        self.parallelization_factor = check_factor(parallelization_factor)
        self.set_norm(eps, momentum, affine)
        self.begin((max(self.parallelization_factor, 1), self.in_features))

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"{type(self).__name__}({self.in_features}, {self.out_features})"

    def reset_parameters(self) -> None:
        """Initialise the weight as `torch.nn.Linear` does, and the norm."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.reset_norm()
        bias = getattr(self, "bias", None)
        if isinstance(bias, nn.Parameter):
            bound = 1 / math.sqrt(self.in_features)
            nn.init.uniform_(bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # one input
        """The output for x ``(batch, ..., in_features)``; see `QModule.forward`."""
        return super().forward(x)

    def extra_repr(self) -> str:
        """Features and options."""
        return f"{self.in_features}, {self.out_features}, eps={self.eps}, activation={self.activation!r}"


class QLinearBatchNorm(_FoldedLinear):
    """``y = activation(iq(x) kq(weight * scale)^T + bq(beta - mean * scale))``: a linear layer and the norm behind it.

    ``scale = gamma / sqrt(variance + eps)``; the norm is folded into weight and bias, and is free in hardware. In
    training mean and variance are those of the batch, of what the *float* weight gives: those of the folded weight
    would follow the numbers that they make. Gamma and beta are ``bn_weight`` and ``bn_bias``.

    Args:
        in_features: size of the input's last axis.
        out_features: size of the output's last axis.
        eps: added to the variance.
        momentum: how far the running averages go to those of each batch, 0 to 1; None: they are those of all batches.
        affine: whether gamma and beta are learned.
        activation: None, a name, function or module that needs no table, as of `QLinear`.
        kq: quantizer of the folded weight; see `QLinear`.
        bq: quantizer of the folded bias.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: instances that are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, numbers that no average has, an unknown activation, or low precision.

    >>> QLinearBatchNorm(4, 3)(torch.zeros(8, 4)).shape
    torch.Size([8, 3])
    """

    def declaration(self) -> Declaration:
        """Contract, Add, Relu."""
        activation, factor = self.declared_activation, self.parallelization_factor
        return Dense(self.out_features, True, activation, factor, self.norm)


class QBatchNormLinear(_FoldedLinear):
    """``y = activation(iq(x) kq(weight * scale)^T + bq(bias - weight (mean * scale)))``: a norm before a linear layer.

    ``scale = gamma / sqrt(variance + eps)`` along the last axis of the *inputs*, whose mean and variance these are; it
    is folded into the weight, and is free in hardware. Gamma is ``bn_weight``.

    Args:
        in_features: size of the input's last axis.
        out_features: size of the output's last axis.
        eps: added to the variance.
        momentum: how far the running averages go to those of each batch, 0 to 1; None: they are those of all batches.
        affine: whether gamma is learned.
        activation: None, a name, function or module that needs no table, as of `QLinear`.
        kq: quantizer of the folded weight; see `QLinear`.
        bq: quantizer of the folded bias.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: instances that are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a size below 1, numbers that no average has, an unknown activation, or low precision.

    >>> QBatchNormLinear(4, 3)(torch.zeros(8, 4)).shape
    torch.Size([8, 3])
    """

    def declaration(self) -> Declaration:
        """Contract, Add, Relu."""
        activation, factor = self.declared_activation, self.parallelization_factor
        return BatchNormDense(self.out_features, self.eps, self.affine, activation, factor)


class QEinsumDenseBatchNorm(Normalised):
    """``y = activation(einsum(equation, iq(x), kq(kernel * scale)) + bq(beta - mean * scale))``, in the words of Keras.

    The norm is that of `QLinearBatchNorm`, along axes of the output that the kernel has.

    Args:
        equation: of data and kernel, such as ``"bti,io->bto"``; the batch is the first letter of data and output.
        output_shape: sizes of the output's axes, without the batch axis; None where a size is that of the input.
        normalize_axes: letters of the output along which it normalises.
        eps: added to the variance.
        momentum: how far the running averages go to those of each batch, 0 to 1; None: they are those of all batches.
        center: whether there is a learned offset.
        scale: whether there is a learned scale.
        activation: None, a name, function or module that needs no table, as of `QLinear`.
        input_shape: shape of the input without the batch axis.
        kq: quantizer of the folded weight; see `QLinear`.
        bq: quantizer of the folded bias.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: instances that are built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: an equation that is none, axes that output or kernel do not have, numbers that no average has.
        ShapeError: shapes that the equation does not take.

    >>> QEinsumDenseBatchNorm("bti,io->bto", (3, 8), "o", input_shape=(3, 4))(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 3, 8])
    """

    shapes_from_arguments: ClassVar[bool] = True
    layouts: ClassVar[Mapping[str, Layout]] = NORM
    kernel: nn.Parameter

    def __init__(
        self,
        equation: str,
        output_shape: Sequence[int | None] | int,
        normalize_axes: str,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        center: bool = True,
        scale: bool = True,
        activation: ActivationLike = None,
        *,
        input_shape: Sequence[int],
        kq: QuantizerLike = None,
        bq: QuantizerLike = None,
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
            activation,
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
        self.equation = equation
        sizes = (output_shape,) if isinstance(output_shape, int) else output_shape
        self.partial_output_shape = tuple(None if n is None else positive(n, "output_shape") for n in sizes)
        self.normalize_axes = normalize_axes
        self.parallelization_factor = check_factor(parallelization_factor)
        self.input_shape = tuple(positive(n, "input_shape") for n in input_shape)
        self.set_norm(eps, momentum, True)
        self.center, self.scale = bool(center), bool(scale)
        self.build(self.input_shape)

    def declaration(self) -> Declaration:
        """Contract, Add, Relu."""
        return ShapedEinsum(
            self.equation,
            self.partial_output_shape,
            self.normalize_axes,
            self.declared_activation,
            self.parallelization_factor,
            FoldedNorm(self.eps, self.center, self.scale),
        )

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"QEinsumDenseBatchNorm({self.equation!r})"

    def reset_parameters(self) -> None:
        """Glorot's uniform kernel, and a norm that changes nothing."""
        bound = glorot_bound(self.equation, self.kernel.shape)
        nn.init.uniform_(self.kernel, -bound, bound)
        self.reset_norm()

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # one input
        """The output for x ``(batch, *input_shape)``; see `QModule.forward`."""
        return super().forward(x)

    def extra_repr(self) -> str:
        """Equation, shapes and activation."""
        return f"{self.equation!r}, {self.partial_output_shape}, {self.normalize_axes!r}, eps={self.eps}"
