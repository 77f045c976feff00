"""Dense layers with trained widths: `QLinear` over the last axis, `QEinsumDense` by an equation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from hgq_core.errors import ConfigError
from hgq_core.layers import Dense
from hgq_torch._slots import Layout, Turn
from hgq_torch.nn._activated import Activated
from hgq_torch.nn._arguments import positive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike
    from hgq_torch._quantizer import Quantizer
    from hgq_torch.nn._activated import ActivationLike

__all__ = ["QLinear"]


class QLinear(Activated):
    r"""A dense layer whose input, weight and bias have trained widths.

    .. math:: y = Q_o(\operatorname{act}(Q_i(x) Q_k(W)^T + Q_b(b)))

    Weights are stored as those of `torch.nn.Linear`. If the initial widths would round most of the weight to zero, or
    clip it, wider ones are taken, with a `DeadLayerWarning`; so for a weight that is loaded without widths, or assigned
    before training, at the first training step.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        bias: whether there is a bias.
        activation: None, ``"relu"``, ``"relu6"``, ``"hardtanh"``, `torch.relu`, a module such as
            ``torch.nn.LeakyReLU(0.25)``, or `hgq_core.layers.rectifier`: what is exact without a table.
        kq: quantizer of the weight, seen as ``(out_features, in_features)``; a `Quantizer`, a specification
            (`hgq_core.KBI` and so on), the name of a type, a dict of its parameters, or None for the scope's default.
        bq: quantizer of the bias, seen as ``(out_features,)``.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``.
        oq: quantizer of the output, seen as ``(batch, *input_shape[:-1], out_features)``; giving one enables it.
        input_shape: shape of the input without the batch axis; ``(in_features,)`` if not given.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many of the positions of ``input_shape[:-1]`` are built in hardware, -1 for all.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.

    Raises:
        ConfigError: an unknown option, a size below 1, or low precision.

    Shape: ``(batch, *input_shape) -> (batch, *input_shape[:-1], out_features)``.

    >>> layer = QLinear(16, 64, activation="relu")
    >>> layer(torch.zeros(8, 16)).shape
    torch.Size([8, 64])
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    kq: Quantizer
    bq: Quantizer | None
    iq: Quantizer | None
    oq: Quantizer | None
    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": Layout("weight", Turn.of((1, 0)))}
    shapes_from_arguments: ClassVar[bool] = True
    fewest_axes: ClassVar[int] = 1
    shape_hint: ClassVar[str] = "; give input_shape for data with more axes"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        activation: ActivationLike = None,
        *,
        kq: QuantizerLike = None,
        bq: QuantizerLike = None,
        iq: QuantizerLike = None,
        oq: QuantizerLike = None,
        input_shape: Sequence[int] | None = None,
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
        self.use_bias = bool(bias)
        self.parallelization_factor = parallelization_factor
        self.input_shape = (in_features,) if input_shape is None else tuple(input_shape)
        if not self.input_shape or self.input_shape[-1] != in_features or 0 in self.input_shape:
            message = (
                f"input_shape: received {self.input_shape}, expected a shape that ends in in_features={in_features}, "
                "without an axis of size 0"
            )
            raise ConfigError(message)
        self.output_shape = (*self.input_shape[:-1], out_features)
        self.build(self.input_shape)
        if not bias:
            self.register_parameter("bias", None)
            self.register_module("bq", None)

    def declaration(self) -> Declaration:
        """Contract, Add, Relu."""
        return Dense(
            self.out_features,
            use_bias=self.use_bias,
            activation=self.declared_activation,
            parallelization_factor=self.parallelization_factor,
        )

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"QLinear({self.in_features}, {self.out_features})"

    def reset_parameters(self) -> None:
        """Initialise weight and bias as `torch.nn.Linear` does."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.use_bias and self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # one input
        """The output ``(batch, *input_shape[:-1], out_features)`` for x ``(batch, *input_shape)``.

        Raises:
            ShapeError: x has another shape.
            DataError: x has a wider type than the weights, or, in training, no rows.
            ConfigError: the weights are in low precision.
        """
        return super().forward(x)

    def extra_repr(self) -> str:
        """Features, bias and activation."""
        return f"{self.in_features}, {self.out_features}, bias={self.use_bias}, activation={self.activation!r}"
