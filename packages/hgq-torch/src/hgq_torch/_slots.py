"""What a module holds for the slots of its program: parameters, buffers and quantizers, in PyTorch's layouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from hgq_core.errors import DataError
from hgq_core.layers import Exported, attribute_of, constants_of, output_bits, weight_of
from hgq_core.layers.noise import bits_without_noise
from hgq_core.layers.steps import Quantized, Table
from hgq_core.quantizer.range import is_weight_range
from hgq_core.spec import Dummy
from hgq_torch._exported import data_quantizer
from hgq_torch._ops import TORCH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hgq_core.graph import GraphBuilder
    from hgq_core.graph.ops import Shape
    from hgq_core.layers.steps import Scanned, Statistics
    from hgq_torch._quantizer import Quantizer
    from hgq_torch.nn._base import QModule

__all__ = ["Layout", "ModuleSlots", "Turn", "table_values"]


@dataclass(frozen=True, slots=True)
class Turn:
    """The axes of a weight as PyTorch stores it.

    Attributes:
        axes: the declared axis at each place of the stored weight.
        back: the stored axis at each place of the declared weight.
    """

    axes: tuple[int, ...]
    back: tuple[int, ...]

    @staticmethod
    def of(axes: Sequence[int]) -> Turn:
        """The turn with these declared axes."""
        return Turn(tuple(axes), tuple(int(n) for n in np.argsort(axes)))

    def stored_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of the stored weight of a declared one."""
        return tuple(shape[axis] for axis in self.axes)


@dataclass(frozen=True, slots=True)
class Layout:
    """How PyTorch stores a weight of a declaration.

    Attributes:
        name: of the parameter or buffer.
        turn: of its axes, None if they are those of the declaration.
    """

    name: str
    turn: Turn | None = None


def table_values(function: Any, x: Tensor, *weights: Tensor) -> Tensor:
    """The very numbers that the table of a function holds: in float64, without its noise, as float32.

    In float64 models they have the type of x, of the same values.
    """
    y = function(TORCH, *(part.detach().double() for part in (x, *weights))).double().contiguous()
    exact = bits_without_noise(y.view(torch.int64)).view(torch.float64).float().to(x.dtype)
    if not (torch.is_grad_enabled() and any(part.requires_grad for part in (x, *weights))):
        return exact
    y = function(TORCH, x, *weights)
    return exact + (y - y.detach())


def followed_statistics(
    x: Tensor, axes: tuple[int, ...], mean: Tensor, variance: Tensor, momentum: float | Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and variance of a batch, after the averages have moved to them, to the unbiased variance as in PyTorch.

    Raises:
        DataError: one number per channel, which has no variance.
    """
    number = x.numel() // max(mean.numel(), 1)
    if number < 2:
        message = f"received {tuple(x.shape)} in training, expected two numbers or more per channel for a variance"
        raise DataError(message)
    of_batch = x.mean(axes)
    biased = x.var(axes, unbiased=False)
    with torch.no_grad():
        mean.lerp_(of_batch, momentum)
        variance.lerp_(biased * (number / (number - 1)), momentum)
    return of_batch, biased


class ModuleSlots:
    """The slots of a module in one call, as `hgq_core.layers` asks for them.

    Args:
        module: whose slots they are.
        label: its path in the model, for the Graph.
    """

    def __init__(self, module: QModule, label: str = "") -> None:
        self.module = module
        self.label = label

    # --- what the forward pass asks ---

    def stored(self, slot: str) -> Tensor:
        """The weight, of the declared shape."""
        layout = self.module.made.storage[slot]
        weight: Tensor = getattr(self.module, layout.name)
        return weight if layout.turn is None else weight.permute(layout.turn.back)

    def statistics(self, kind: Statistics, data: Callable[[], Tensor] | None) -> tuple[Tensor, Tensor]:
        """Those of the batch in training, which moves the averages, else the averages."""
        mean, variance = self.stored(kind.mean), self.stored(kind.variance)
        if data is None or not self.module.training:
            return mean, variance
        return followed_statistics(data(), kind.axes, mean, variance, self._averaging())

    def _averaging(self) -> float | Tensor:
        """How far averages go to those of this batch, which is counted where the module counts them."""
        momentum: float | None = self.module.momentum
        seen: Tensor | None = getattr(self.module, "num_batches_tracked", None)
        if seen is not None:
            seen.add_(1)
        if momentum is not None or seen is None:
            return 0.1 if momentum is None else momentum
        return 1.0 / seen.to(self.module.beta.dtype)

    def quantized(self, slot: str, x: Tensor) -> Tensor:
        """X by the quantizer of a slot, which sees a weight as it is stored."""
        quantizer = self.quantizer(slot)
        turn = self.module.made.turns.get(slot)
        quantize = quantizer.weight_at_hand if slot in self.module.made.weight_quantizers else quantizer
        result: Tensor = quantize(x) if turn is None else quantize(x.permute(turn.axes)).permute(turn.back)
        return result

    def again(self, slot: str, x: Tensor) -> Tensor:
        """X by a quantizer that the same call uses elsewhere: its range does not decay."""
        quantizer = self.quantizer(slot)
        quantizer.repeating = True
        try:
            return self.quantized(slot, x)
        finally:
            quantizer.repeating = False

    def function(self, function: Any, x: Tensor, *weights: Tensor) -> Tensor:
        """The function of a table; training needs only its accuracy, and is faster without float64."""
        if not self.module.training:
            return table_values(function, x, *weights)
        result: Tensor = getattr(function, "trained", function)(TORCH, x, *weights)
        return result

    def dropped(self, rate: float, x: Tensor, rows: int) -> Tensor:
        """Dropout, in training."""
        if not rows:
            return torch.nn.functional.dropout(x, rate, training=self.module.training)
        factors = self.drawn(rate, x, (*[1] * rows, *x.shape[1 + rows :]))
        return x if factors is None else x * factors

    def drawn(self, rate: float, x: Tensor, shape: Sequence[int]) -> Tensor | None:
        """The factors of dropout for rows of this shape, in training."""
        if not self.module.training:
            return None
        return torch.nn.functional.dropout(x.new_ones((x.shape[0], *shape)), rate)

    def surrogate(self, y: Tensor, smooth: Callable[[], Tensor]) -> Tensor:
        """In training y with the derivative of a smooth function."""
        if not self.module.training:
            return y
        given = smooth()
        return y.detach() + (given - given.detach())

    def nested(self, name: str, layer: Any, args: Sequence[Tensor]) -> Tensor:  # noqa: ARG002
        """The output of a module inside: what stands at its place now, a replica or a compiled one."""
        result: Tensor = self.module.get_submodule(self.module.made.paths[name])(*args)
        return result

    def scan(
        self, step: Callable[..., tuple[Tensor, ...]], xs: Tensor, states: Sequence[Tensor], kind: Scanned
    ) -> Tensor:
        """The outputs of all steps: a loop of Python, in which a range that follows data decays at the first step."""
        inside = [
            self.quantizer(part.kind.slot) for part in kind.body.steps if isinstance(part.kind, Quantized | Table)
        ]
        ys: list[Tensor] = []
        try:
            for number in range(kind.steps)[:: -1 if kind.reverse else 1]:
                y, *states = step(xs[:, number], *states)
                ys.append(y)
                for quantizer in inside:
                    quantizer.repeating = True
        finally:
            for quantizer in inside:
                quantizer.repeating = False
        return torch.stack(ys[:: -1 if kind.reverse else 1], 1)

    # --- what the cost asks ---

    def quantizer(self, slot: str) -> Quantizer:
        """The quantizer of a slot."""
        return cast("Quantizer", getattr(self.module, attribute_of(slot)))

    def bits(self, slot: str) -> Tensor | None:
        """Widths that EBOPs counts, of the declared axes; None for a dummy, which has none."""
        quantizer = self.quantizer(slot)
        if isinstance(quantizer.spec, Dummy):
            return None
        turn = self.module.made.turns.get(slot)
        constant = slot in self.module.made.weight_quantizers
        given = self._source(slot) if constant and is_weight_range(quantizer.spec) else None
        bits = quantizer.counted_bits(given)
        return bits if turn is None else bits.permute(turn.back)

    def full_width(self, slot: str) -> Any:
        """Widths of data with their sign, differentiable."""
        quantizer = self.quantizer(slot)
        return None if isinstance(quantizer.spec, Dummy) else quantizer.full_width()

    def nested_bits(self, name: str, layer: QModule, args: Sequence[Any]) -> Any:  # noqa: ARG002
        """Widths of the output of a module inside."""
        inner = self.module.inner_module(name)
        return output_bits(TORCH, ModuleSlots(inner), inner.checked_program(), args)

    # --- what the Graph asks ---

    def exported(self, slot: str, shape: Shape) -> Exported:
        """The quantizer as it stands; the numbers of a weight are already in its formats."""
        quantizer = self.quantizer(slot)
        if slot in self.module.made.weight_quantizers:
            return Exported(quantizer.spec, None, None, None)
        return data_quantizer(quantizer, shape, self.module.beta)

    def _source(self, slot: str) -> Tensor:
        """What a weight quantizer quantizes, in the stored layout."""
        declared: Tensor = weight_of(TORCH, self, self.module.checked_program(), slot)
        turn = self.module.made.turns.get(slot)
        return declared if turn is None else declared.permute(turn.axes)

    def inferred(self, slot: str) -> Tensor:
        """A weight as hardware has it, in the stored layout, without gradient."""
        with torch.no_grad():
            return self.quantizer(slot).inferred(self._source(slot)).detach()

    def weight(self, slot: str) -> NDArray[np.float64]:
        """A weight as hardware has it, in the declared layout.

        Raises:
            DataError: NaN or infinity in it.
        """
        weight = self.inferred(slot)
        if not bool(torch.isfinite(weight).all()):
            message = (
                f"{self.label or 'model'}.{self.module.weight_name(slot)} contains NaN or infinity; the training "
                "diverged: lower the learning rate or restore a checkpoint"
            )
            raise DataError(message)
        turn = self.module.made.turns.get(slot)
        declared = weight if turn is None else weight.permute(turn.back)
        return np.asarray(declared.double().cpu().numpy())

    def counted(self, slot: str) -> NDArray[np.float64] | None:
        """The widths of `bits` as an array."""
        with torch.no_grad():
            bits = self.bits(slot)
        return None if bits is None else np.asarray(bits.double().cpu().numpy())

    def counted_with_sign(self, slot: str) -> NDArray[np.float64] | None:
        """The widths of `full_width` as an array."""
        with torch.no_grad():
            width = self.full_width(slot)
        return None if width is None else np.asarray(width.double().cpu().numpy())

    def tabulate(self, function: Any, weights: Sequence[int]) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
        """The function on an array, as `function` has it at inference."""
        device = self.module.beta.device
        with torch.no_grad():
            given = constants_of(TORCH, self, self.module.checked_program(), weights)

        def values(x: NDArray[np.float32]) -> NDArray[np.float64]:
            with torch.no_grad():
                return np.asarray(table_values(function, torch.from_numpy(x).to(device), *given).double().cpu().numpy())

        return values

    def refusal(self, function: Any, label: str) -> str:
        """Why a function has no node."""
        name = getattr(function, "function", function)
        name = getattr(name, "__name__", repr(name))
        return (
            f"layer {label!r}: {name} is trained and has no Graph node; quantize the output (enable_oq=True), so that "
            "it is a table, or use 'relu'"
        )

    def emit_nested(
        self,
        builder: GraphBuilder,
        name: str,
        layer: QModule,  # noqa: ARG002
        label: str,  # noqa: ARG002
        args: Sequence[str],
    ) -> str:
        """Append a module inside; its label is its path in the model, whatever the declaration calls it."""
        path = ".".join(part for part in (self.label, self.module.made.paths[name]) if part)
        return self.module.inner_module(name).emit(builder, path, args)[0]
