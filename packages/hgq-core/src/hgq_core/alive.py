"""Never a dead start, never a nearly dead one: widths too narrow for a kernel are widened, by the least that helps."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import DataError
from hgq_core.ops import NUMPY
from hgq_core.quantize import fixed_point

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from hgq_core.modes import Overflow, Round

__all__ = ["NOISE_LIMIT", "Widening", "widened"]

NOISE_LIMIT = 0.25
"""Largest ratio of quantization noise to signal, in power, that a kernel may start with: 6 dB."""
_MOST = 126


@dataclass(frozen=True, slots=True)
class Widening:
    """What to add to the widths of a kernel.

    For kif: ``f += fraction, i += integer``. For kbi: ``b += bits, i += integer``.

    Attributes:
        fraction: fraction bits.
        integer: integer bits; negative where the constraint leaves no room and a small kernel gives up some of them.
    """

    fraction: int
    integer: int

    @property
    def bits(self) -> int:
        """By how much the whole number grows."""
        return self.fraction + self.integer

    def __bool__(self) -> bool:
        return (self.fraction, self.integer) != (0, 0)


def widened(
    values: ArrayLike,
    k: ArrayLike,
    i: ArrayLike,
    f: ArrayLike,
    *,
    round_mode: Round,
    overflow_mode: Overflow,
    room: float = inf,
) -> Widening:
    """How to widen the formats of a kernel that they are too coarse or too small for; no change for any other kernel.

    A kernel is judged by its signal-to-noise ratio, not by whether one element survives: below 6 dB most of it is
    rounded to zero, or clipped. It gets the fewest extra integer bits, and with these the fewest extra fraction bits,
    the same for all elements, for which the power of the noise is at most a quarter of that of the kernel:
    ``sum((w - Q(w))**2) <= sum(w**2) / 4``. Fraction bits widen the number as far as the constraint leaves room; the
    rest is taken from the integer bits, which so small a kernel does not use.

    Args:
        values: the kernel.
        k: sign bits, broadcastable to the kernel, as are the next ones.
        i: integer bits without the sign.
        f: fraction bits.
        round_mode: of the quantizer.
        overflow_mode: of the quantizer; under WRAP the integer bits follow the kernel and clip nothing.
        room: by how many bits the constraint lets the width grow.

    Raises:
        DataError: NaN or infinity in the kernel.

    >>> from hgq_core.modes import Overflow, Round
    >>> widened([0.001, -0.002], 1, 2, 6, round_mode=Round.RND, overflow_mode=Overflow.SAT_SYM)
    Widening(fraction=3, integer=0)
    >>> widened([70.0, -3.0], 1, 2, 6, round_mode=Round.RND, overflow_mode=Overflow.SAT_SYM)
    Widening(fraction=0, integer=4)
    """
    w = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(w)):
        message = "the kernel contains NaN or infinity; expected finite numbers, check the initialiser"
        raise DataError(message)
    k, i, f = (np.asarray(part, dtype=np.float64) for part in (k, i, f))
    limit = NOISE_LIMIT * float(np.sum(w * w))

    def noise(integer: int, fraction: int) -> float:
        q = fixed_point(
            NUMPY, w, k, i + integer, f + fraction, round_mode=round_mode, overflow_mode=overflow_mode, wrap=False
        )
        return float(np.sum((w - q) ** 2))

    if noise(0, 0) <= limit:
        return Widening(0, 0)
    for integer in range(_MOST):
        # What is left with steps too fine to matter is clipped, and no fraction bit mends it.
        if noise(integer, _MOST) > limit:
            continue
        for fraction in range(_MOST):
            if noise(integer, fraction) <= limit:
                excess = int(max(integer + fraction - max(room, 0), 0))
                # A kernel that needs more integer bits has no use for the finest steps; a small one for the top bits.
                return Widening(fraction - excess, integer) if integer else Widening(fraction, -excess)
    return Widening(0, 0)
