"""Never a dead start: initial widths that would round a whole kernel to zero are widened, by the least that helps."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import DataError
from hgq_core.ops import NUMPY
from hgq_core.quantize import fixed_point

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hgq_core.modes import Overflow, Round

__all__ = ["NOISE_LIMIT", "Widening", "widened"]

NOISE_LIMIT = 0.25
"""Largest ratio of rounding noise to signal, in power, that a widened kernel may have: 6 dB."""
_MOST = 126


@dataclass(frozen=True, slots=True)
class Widening:
    """What to change: ``fraction`` more fraction bits, of which ``bits`` widen the number and the rest lower ``i``.

    For kif: ``f += fraction, i -= fraction - bits``. For kbi: ``b += bits, i -= fraction - bits``.
    """

    fraction: int
    bits: int

    def __bool__(self) -> bool:
        return self.fraction > 0


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
    """How to widen the formats of a kernel that they would quantize to zero; no change for any other kernel.

    A kernel with a nonzero element whose quantized elements are all zero computes nothing and passes no gradient on. It
    gets the fewest extra fraction bits n, the same for all elements, for which the power of the rounding noise is at
    most a quarter of that of the kernel (a signal-to-noise ratio of 6 dB):
    ``sum((w - Q(w))**2) <= sum(w**2) / 4``. They widen the number as far as the constraint leaves room; the rest is
    taken from the integer bits, which so small a kernel does not use.

    Args:
        values: the kernel.
        k: sign bits, broadcastable to the kernel, as are the next ones.
        i: integer bits without the sign.
        f: fraction bits.
        round_mode: of the quantizer.
        overflow_mode: of the quantizer.
        room: by how many bits the constraint lets the width grow.

    Raises:
        DataError: NaN or infinity in the kernel.

    >>> from hgq_core.modes import Overflow, Round
    >>> widened([0.001, -0.002], 1, 2, 6, round_mode=Round.RND, overflow_mode=Overflow.SAT_SYM)
    Widening(fraction=3, bits=3)
    """
    w = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(w)):
        message = "the kernel contains NaN or infinity; expected finite numbers, check the initialiser"
        raise DataError(message)
    parts = [np.asarray(part, dtype=np.float64) for part in (k, i, f)]
    if not w.any() or _quantized(w, parts, 0, round_mode, overflow_mode).any():
        return Widening(0, 0)
    signal = float(np.sum(w * w))
    for n in range(1, _MOST):
        noise = w - _quantized(w, parts, n, round_mode, overflow_mode)
        if float(np.sum(noise * noise)) <= NOISE_LIMIT * signal:
            return Widening(n, int(min(n, max(room, 0))))
    return Widening(0, 0)


def _quantized(
    w: NDArray[np.float64], parts: list[NDArray[np.float64]], n: int, round_mode: Round, overflow_mode: Overflow
) -> NDArray[np.float64]:
    k, i, f = parts
    result = fixed_point(NUMPY, w, k, i, f + n, round_mode=round_mode, overflow_mode=overflow_mode, wrap=False)
    return np.asarray(result)
