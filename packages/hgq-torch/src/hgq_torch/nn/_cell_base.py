"""What PyTorch's cells have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from hgq_core.errors import ShapeError, UnsupportedError
from hgq_core.layers import OneStep
from hgq_torch.nn._arguments import positive
from hgq_torch.nn._gates import Gated, stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike
    from hgq_torch._slots import Layout

__all__ = ["CellModule"]


class CellModule(Gated):
    """Abstract: what PyTorch's cells have in common.

    Args:
        sizes: of input and state.
        bias: whether there is one.
        quantizers: by slot.
        base: arguments of `QModule`.
    """

    input_in_declaration: ClassVar[bool] = True
    layouts: ClassVar[Mapping[str, Layout]] = stored()

    def __init__(
        self, sizes: tuple[int, int], bias: bool, quantizers: Mapping[str, QuantizerLike], base: Mapping[str, Any]
    ) -> None:
        super().__init__(quantizers=quantizers, **base)
        self.input_size, self.hidden_size = positive(sizes[0], "input_size"), positive(sizes[1], "hidden_size")
        self.use_bias = bool(bias)
        self.begin((self.input_size,), *((size,) for size in self.cell().states))

    @abstractmethod
    def cell(self) -> Any:
        """The step."""

    def declaration(self) -> Declaration:
        """The step, for data and states."""
        return OneStep(self.cell(), enable_iq=self.enable_iq)

    def forward(self, x: Tensor, hx: Any = None) -> Any:  # type: ignore[override]
        """The next state, or states, for data ``(batch, input_size)`` or ``(input_size,)``.

        Args:
            x: the data.
            hx: the states, as PyTorch's cell takes them; zeros if not given.

        Raises:
            ShapeError: data or states of other sizes.
        """
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            message = (
                f"{self.title}: received a tensor of shape {tuple(x.shape)}, expected 2 axes, or 1 for one example, "
                f"the last of size {self.input_size}"
            )
            raise ShapeError(message)
        sizes = self.cell().states
        given = tuple(hx) if isinstance(hx, tuple | list) else () if hx is None else (hx,)
        states = given or tuple(x.new_zeros((*x.shape[:-1], size)) for size in sizes)
        if [tuple(state.shape) for state in states] != [(*x.shape[:-1], size) for size in sizes]:
            message = (
                f"{self.title}: received states of {[tuple(state.shape) for state in states]}, expected "
                f"{[(*x.shape[:-1], size) for size in sizes]}"
            )
            raise ShapeError(message)
        if x.ndim == 1:
            results = [part.squeeze(0) for part in super().forward(*(part.unsqueeze(0) for part in (x, *states)))]
        else:
            results = list(super().forward(x, *states))
        return self.returned(*results)

    def returned(self, y: Tensor, *states: Tensor) -> Any:  # noqa: ARG002 (the output is the first state)
        """What the forward pass returns."""
        return states if len(states) > 1 else states[0]

    def operands_of(self, given: Sequence[Any], title: str) -> Sequence[Any]:
        """Data and states; raises UnsupportedError where the states are not given."""
        x, *hx = given
        states = tuple(hx[0]) if hx and isinstance(hx[0], tuple | list) else tuple(hx)
        if not states:
            message = f"{title} is applied without states; make them inputs of the model: cell(x, hx)"
            raise UnsupportedError(message)
        return (x, *states)

    def results_of(self, returned: Any) -> Sequence[Any]:
        """The output, which is the first state, and the states."""
        states = returned if isinstance(returned, tuple) else (returned,)
        return (states[0], *states)

    def extra_repr(self) -> str:
        """Sizes and options."""
        text = f"{self.input_size}, {self.hidden_size}"
        return text if self.use_bias else text + ", bias=False"
