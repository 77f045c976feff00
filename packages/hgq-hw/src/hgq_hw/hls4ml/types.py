"""The C++ type of a tensor: one fixed-point format for all its elements, with the modes of the assignment to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.formats import FixedPoint, Formats
from hgq_core.modes import Overflow, Round

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from hgq_core.graph.ops import Quantize

__all__ = ["HLSType", "covering", "covering_values", "narrowed", "shared"]

_SIGN_BLIND = (Round.TRN, Round.RND, Round.RND_CONV, Round.RND_MIN_INF)
"""Modes whose result modulo the range does not depend on the bits above the range, so not on the sign."""


@dataclass(frozen=True, slots=True)
class HLSType:
    """A fixed-point type as hls4ml's configuration writes it.

    >>> str(HLSType(FixedPoint(1, 2, 3))), str(HLSType(FixedPoint(0, 2, 3), Round.RND, Overflow.SAT))
    ('fixed<6,3>', 'ufixed<5,2,RND,SAT>')
    """

    format: FixedPoint
    round: Round = Round.TRN
    overflow: Overflow = Overflow.WRAP

    def __str__(self) -> str:
        sign = "" if self.format.k else "u"
        modes = "" if (self.round, self.overflow) == (Round.TRN, Overflow.WRAP) else f",{self.round},{self.overflow}"
        return f"{sign}fixed<{self.format.width},{self.format.k + self.format.i}{modes}>"


def covering(formats: Formats) -> FixedPoint:
    """The narrowest single format that holds every element; one unsigned bit if all are dead.

    >>> covering(Formats.of([0, 1], [3, 1], [0, 2]))
    FixedPoint(k=1, i=3, f=2)
    """
    alive = formats.alive
    if not alive.any():
        return FixedPoint(0, 1, 0)
    k, i, f = (int(part[alive].max()) for part in (formats.k, formats.i, formats.f))
    return FixedPoint(k, i, f)


def covering_values(values: ArrayLike) -> FixedPoint:
    """The narrowest single format that holds every value exactly."""
    array = np.asarray(values, dtype=np.float64)
    return covering(Formats.covering(array))


def shared(formats: Formats) -> FixedPoint | None:
    """The format that all elements have in common, None if they differ or are dead."""
    if not formats.alive.all() or any(np.unique(part).size != 1 for part in (formats.k, formats.i, formats.f)):
        return None
    return FixedPoint(*(int(part.ravel()[0]) for part in (formats.k, formats.i, formats.f)))


def narrowed(full: FixedPoint, quantize: Quantize) -> FixedPoint:
    """The part of ``full`` that a quantizer, the only reader of a tensor, looks at.

    Under WRAP the bits above its range do not matter unless its rounding asks for the sign; TRN and RND ignore the bits
    more than zero and one below its step. What is dropped is dropped by truncation and wrap-around.

    >>> from hgq_core.graph.ops import Quantize
    >>> narrowed(FixedPoint(1, 9, 12), Quantize(Formats.of(1, 2, 3), Round.RND, Overflow.WRAP))
    FixedPoint(k=1, i=2, f=4)
    """
    formats, modes = quantize.formats, (quantize.round, quantize.overflow)
    if modes[1] is not Overflow.WRAP or modes[0] not in _SIGN_BLIND or not formats.alive.any():
        return full
    seen = covering(formats)
    f = full.f
    if modes[0] in (Round.TRN, Round.RND):
        f = min(f, seen.f + (modes[0] is Round.RND))
    above = int((formats.k + formats.i)[formats.alive].max())
    i = max(min(full.i, above - full.k), 1 - full.k - f)
    return FixedPoint(full.k, i, f)
