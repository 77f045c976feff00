"""The start of a weight: whether its widths are wide enough for it, judged where it did not come from training.

A weight that training prunes is not touched: it is judged once, at the first training step after it was made, loaded
without widths, or given initial values by hand; not if its widths were loaded, or assigned, too.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from hgq_core.alive import widened
from hgq_core.errors import DeadLayerWarning
from hgq_core.spec import KBI, KIF

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from torch import Tensor

    from hgq_torch._quantizer import Quantizer

__all__ = ["Start", "keep_alive"]


class Start:
    """Whether the start of the kernels of a layer is still to be judged.

    Attributes:
        kernels: names of those that have not been judged since they were made or loaded; None for all of them.
    """

    def __init__(self, kernels: Collection[str] | None = None) -> None:
        self.kernels = None if kernels is None else frozenset(kernels)
        self._widths: dict[Quantizer, tuple[Any, ...]] = {}

    @property
    def is_open(self) -> bool:
        """Whether a kernel has not been judged since it was made or loaded."""
        return self.kernels is None or bool(self.kernels)

    def waits_for(self, name: str) -> bool:
        """Whether this kernel has not been judged since it was made or loaded."""
        return self.kernels is None or name in self.kernels

    def judge(self, kernels: Iterable[tuple[str, Quantizer, Tensor]], layer: str, *, made: bool = False) -> None:
        """Widen the widths, if they are those that the kernels started with; ``made`` when they are made.

        Args:
            kernels: name, quantizer and weight of each.
            layer: for the warning.
            made: whether they have just been made, and may be given other values before training.
        """
        for name, quantizer, weight in kernels:
            if not self.waits_for(name):
                continue
            # By quantizer: parts of one kernel may have their own.
            if quantizer not in self._widths or self._widths[quantizer] == _state_of(quantizer):
                keep_alive(quantizer, weight, layer)
            self._widths[quantizer] = _state_of(quantizer)
        self.kernels = None if made else frozenset()


def _state_of(quantizer: Quantizer) -> tuple[Any, ...]:
    """What changes when widths are assigned, by `Quantizer.assign` or by hand."""
    widths = [getattr(quantizer, name) for name in quantizer.trained if quantizer.built]
    return tuple(0 if width.is_inference() else width._version for width in widths)


def keep_alive(quantizer: Quantizer, weight: Tensor, layer: str) -> None:
    """Widen the widths of a weight that they round to zero for the most part, or clip (`hgq_core.alive`), and say so.

    Raises:
        DataError: NaN or infinity in the weight.
    """
    spec = quantizer.spec
    if not isinstance(spec, KIF | KBI) or weight.is_meta:
        return
    formats = quantizer.formats()
    grown = "b" if isinstance(spec, KBI) else "f"
    change = widened(
        weight.detach().double().cpu().numpy(),
        formats.k,
        formats.i,
        formats.f,
        round_mode=spec.round_mode,
        overflow_mode=spec.overflow_mode,
        room=quantizer.bounds[grown].high - getattr(quantizer, grown).detach().max().item(),
    )
    if not change:
        return
    more = change.bits if isinstance(spec, KBI) else change.fraction
    quantizer.assign(**{grown: getattr(quantizer, grown).detach() + more})
    if change.integer:
        quantizer.assign(i=quantizer.i.detach() + change.integer)
    message = (
        f"{layer}: its widths round most of the weight to zero or clip it; they now have {change.fraction} more "
        f"fraction bits and {change.integer} more integer bits. Give the weight quantizer more bits ({grown}0) or "
        "another i0 to choose them yourself"
    )
    warnings.warn(message, DeadLayerWarning, stacklevel=4)
