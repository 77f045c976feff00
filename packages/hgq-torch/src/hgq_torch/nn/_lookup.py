"""Functions of one number as trained tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from hgq_core.errors import ConfigError
from hgq_core.layers import FrameworkFunction, UnaryFunction
from hgq_torch._slots import table_values
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Callable

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike

__all__ = ["QLUT", "check_elementwise"]

_NUMBERS = (-1.5, -0.25, 0.5, 2.0)
_ORDER = (0, 1, 2, 3, 3, 1, 0, 2)


class QLUT(QModule):
    r"""A function of one number, a table in hardware over every number that its input can be.

    .. math:: y = Q_o(f(Q_i(x))), \quad y = Q_o(f(s \, Q_i(x) + b))

    With ``affine`` there are a learned scale s, 1 at first, and bias b, 0, of the tensor, inside of the table.

    At inference it computes in float64, of which noise in the last bits is rounded away, so that it gives the very
    numbers that the table holds; training is faster without.

    Args:
        function: of a tensor, element by element, such as `torch.tanh`.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``; see `QLinear`.
        oq: quantizer of the output; by default that of the place ``table``.
        affine: whether there are a learned ``scale`` and ``bias``, one number each.
        enable_iq: whether the input is quantized.
        enable_oq: whether the output is quantized; without, and without a quantized input, the layer trains only.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: a function that mixes elements, an affine map without quantizers, or low precision.

    >>> QLUT(torch.tanh).eval()(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """

    output_in_declaration: ClassVar[bool] = True

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        affine: bool = False,
        *,
        iq: QuantizerLike = None,
        oq: QuantizerLike = None,
        enable_iq: bool = True,
        enable_oq: bool = True,
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
        check_elementwise(function)
        self.function = function
        self.affine = bool(affine)
        if self.affine and not (self.enable_iq and self.enable_oq):
            message = (
                "QLUT: received enable_iq or enable_oq False with affine=True, expected True: both are of the table"
            )
            raise ConfigError(message)
        self.begin((1,))

    def declaration(self) -> Declaration:
        """A table."""
        return UnaryFunction(FrameworkFunction(self.function), self.enable_oq, self.affine)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # one input
        """The output for x ``(batch, *input_shape)``; see `QModule.forward`."""
        return super().forward(x)

    def extra_repr(self) -> str:
        """The function."""
        return _name(self.function)


def check_elementwise(function: Any) -> None:
    """Raise ConfigError unless a function of a vector is the function of each of its elements, to the last bit."""
    numbers = torch.tensor(_NUMBERS)
    mixed = _probe(function, numbers[list(_ORDER)])
    single = torch.stack([_probe(function, numbers[n].repeat(len(_ORDER))) for n in range(len(_NUMBERS))])
    expected = single[list(_ORDER), range(len(_ORDER))]
    everywhere = single[:, :1].expand_as(single)
    if not _same(single, everywhere) or not _same(mixed, expected):
        raise ConfigError(_refusal(function, "its result for one element depends on the others"))


def _same(a: Tensor, b: Tensor) -> bool:
    return torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))


def _probe(function: Any, x: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            y: Any = table_values(FrameworkFunction(function), x)
    except Exception as error:  # a function of the user's own may raise anything
        said = str(error).strip().partition("\n")[0]
        raise ConfigError(_refusal(function, f"it fails on a vector of float64 numbers ({said})")) from error
    if y.shape != x.shape:
        raise ConfigError(_refusal(function, f"it makes shape {tuple(y.shape)} of shape {tuple(x.shape)}"))
    result: Tensor = y
    return result


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", repr(function)))


def _refusal(function: Any, found: str) -> str:
    return (
        f"QLUT: {_name(function)} is not a function of one number: {found}; expected an elementwise function such as "
        "torch.tanh, with constants as Python numbers; a layer that mixes elements has no table"
    )
