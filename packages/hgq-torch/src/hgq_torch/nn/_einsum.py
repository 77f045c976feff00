"""`QEinsumDense`: a dense layer by an equation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from hgq_core.layers import ShapedEinsum
from hgq_torch.nn._activated import Activated
from hgq_torch.nn._arguments import check_factor, positive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike
    from hgq_torch._quantizer import Quantizer
    from hgq_torch.nn._activated import ActivationLike

__all__ = ["QEinsumDense", "glorot_bound"]


class QEinsumDense(Activated):
    r"""A dense layer by an einsum equation, in the words of Keras, whose input, kernel and bias have trained widths.

    .. math:: y = Q_o(\operatorname{act}(\operatorname{einsum}(Q_i(x), Q_k(W)) + Q_b(b)))

    Kernel and bias are stored as the equation names their axes.

    Args:
        equation: of data and kernel, such as ``"bti,io->bto"`` or ``"...i,io->...o"``; the batch is the first letter of
            data and output.
        output_shape: sizes of the output's axes, without the batch axis and those of the ellipsis; None where a size is
            that of the input.
        bias_axes: letters of the output along which the bias varies; None: no bias.
        activation: None, a name, function or module that needs no table, as of `QLinear`.
        input_shape: shape of the input without the batch axis.
        kq: quantizer of the kernel; see `QLinear`.
        bq: quantizer of the bias.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many of the instances (axes of data and output that the kernel does not have) are
            built in hardware, -1 for all.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: an equation that is none, a bias along an axis that the output does not have, low precision.
        ShapeError: shapes that the equation does not take.

    Shape: ``(batch, *input_shape) -> (batch, *output_shape)``.

    >>> QEinsumDense("bti,tio->bto", (3, 8), "o", input_shape=(3, 4))(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 3, 8])
    """

    shapes_from_arguments: ClassVar[bool] = True
    kernel: nn.Parameter
    bias: nn.Parameter | None
    kq: Quantizer
    bq: Quantizer | None

    def __init__(
        self,
        equation: str,
        output_shape: Sequence[int | None] | int,
        bias_axes: str | None = None,
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
        self.bias_axes = bias_axes or None
        self.parallelization_factor = check_factor(parallelization_factor)
        self.input_shape = tuple(positive(n, "input_shape") for n in input_shape)
        self.build(self.input_shape)
        if bias_axes is None:
            self.register_parameter("bias", None)
            self.register_module("bq", None)

    def declaration(self) -> Declaration:
        """Contract, Add, Relu."""
        return ShapedEinsum(
            self.equation,
            self.partial_output_shape,
            self.bias_axes,
            self.declared_activation,
            self.parallelization_factor,
        )

    @property
    def title(self) -> str:
        """The layer in messages."""
        return f"QEinsumDense({self.equation!r})"

    def reset_parameters(self) -> None:
        """Glorot's uniform kernel and a bias of zeros, as Keras has them."""
        bound = glorot_bound(self.equation, self.kernel.shape)
        nn.init.uniform_(self.kernel, -bound, bound)
        if self.bias_axes is not None and self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # one input
        """The output for x ``(batch, *input_shape)``; see `QModule.forward`."""
        return super().forward(x)

    def extra_repr(self) -> str:
        """Equation, shapes, bias and activation."""
        return (
            f"{self.equation!r}, {self.partial_output_shape}, bias_axes={self.bias_axes!r}, "
            f"activation={self.activation!r}, input_shape={self.input_shape}"
        )


def glorot_bound(equation: str, kernel: Sequence[int]) -> float:
    """Of Glorot's uniform kernels of an equation: ``sqrt(6 / (fan_in + fan_out))``."""
    data, _, rest = equation.replace(" ", "").partition(",")
    letters = rest.partition("->")[0].replace("...", "")
    sizes = dict(zip(letters, kernel[-len(letters) :], strict=False)) if letters else {}
    output = rest.partition("->")[2]
    fan_in = math.prod(n for letter, n in sizes.items() if letter not in output)
    fan_out = math.prod(n for letter, n in sizes.items() if letter not in data)
    return math.sqrt(6 / (fan_in + fan_out))
