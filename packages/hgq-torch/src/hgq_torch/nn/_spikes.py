"""What spiking modules have in common: the three numbers and the surrogate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from hgq_core.layers import SpikingCell
from hgq_core.layers.spiking import check_reset
from hgq_core.numbers import finite
from hgq_core.scope import layer_option
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

__all__ = ["OfDistance", "Spiking"]

_NUMBERS = ("leak", "level", "grade")


@dataclass(frozen=True)
class OfDistance:
    """A function of the distance from the threshold, as a cell takes it."""

    function: Callable[[Tensor], Tensor]

    def __call__(self, ops: Any, membrane: Tensor, threshold: Tensor) -> Tensor:  # noqa: ARG002 (it has its own)
        return self.function(membrane - threshold)


class Spiking(QModule):
    """Abstract over loop or step."""

    hidden_size: int

    def read_spikes(
        self,
        numbers: tuple[float, float, float],
        learned: tuple[bool, bool, bool],
        surrogate: Callable[..., Any] | None,
        options: Mapping[str, Any],
        enable_sq: bool | None,
    ) -> None:
        """Read the arguments of the step: of leak, threshold and spike the numbers, and whether they are learned."""
        title = type(self).__name__
        check_reset(options["reset_mechanism"], title)
        names = ("beta", "threshold", "graded_spikes_factor")
        self._numbers = {
            slot: finite(value, f"{title}: {name}") for slot, value, name in zip(_NUMBERS, numbers, names, strict=True)
        }
        self._learns = tuple(slot for slot, learns in zip(_NUMBERS, learned, strict=True) if learns)
        self._surrogate, self._options = surrogate, dict(options)
        self.enable_sq = bool(layer_option("enable_sq")) if enable_sq is None else bool(enable_sq)

    def cell(self) -> SpikingCell:
        """One step."""
        return SpikingCell(
            units=self.hidden_size,
            leaks=self._numbers["leak"] != 1.0 or "leak" in self._learns,
            grades=self._numbers["grade"] != 1.0 or "grade" in self._learns,
            learns=self._learns,
            surrogate=self._surrogate,
            enable_sq=self.enable_sq,
            known_input=self.enable_iq,
            **self._options,
        )

    def reset_parameters(self) -> None:
        """Each of the three weights is the number that was given."""
        with torch.no_grad():
            for slot in self.made.weights:
                getattr(self, self.made.storage[slot].name).fill_(self._numbers[slot])

    def extra_repr(self) -> str:
        """Sizes and numbers."""
        return f"{self.hidden_size}, beta={self._numbers['leak']}, threshold={self._numbers['level']}"
