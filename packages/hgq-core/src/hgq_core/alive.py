"""Never start dead: wider initial widths for a kernel that its quantizer would round to zero as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.ops import NUMPY
from hgq_core.quantize import fixed_point

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from hgq_core.modes import Overflow, Round

__all__ = ["extra_fraction_bits"]

_MOST = 40
_NOISE_SHARE = 0.25  # 6 dB


def extra_fraction_bits(
    values: ArrayLike, k: Any, i: Any, f: Any, *, round_mode: Round, overflow_mode: Overflow
) -> int:
    """Fraction bits to add to every element so that a kernel does not start as all zero.

    0 if any quantized element is not 0, or if the kernel itself is all 0. Otherwise the smallest number for which the energy
    of the error is at most a quarter of the energy of the kernel, a signal-to-noise ratio of 6 dB.

    Args:
        values: the kernel.
        k: sign bits.
        i: integer bits.
        f: fraction bits; all three broadcast to the kernel.
        round_mode: see `Round`.
        overflow_mode: see `Overflow`.

    >>> from hgq_core.modes import Overflow, Round
    >>> extra_fraction_bits([0.01, -0.02], 1, 2, 2, round_mode=Round.RND, overflow_mode=Overflow.SAT_SYM)
    4
    """
    kernel = np.asarray(values, dtype=np.float64)
    widths = [np.asarray(part, dtype=np.float64) for part in (k, i, f)]

    def error(extra: int) -> np.ndarray:
        fraction = widths[2] + extra
        quantized = fixed_point(
            NUMPY, kernel, widths[0], widths[1], fraction, round_mode=round_mode, overflow_mode=overflow_mode, wrap=False
        )
        return np.asarray(kernel - quantized)

    energy = float(np.sum(kernel**2))
    if not energy or not np.array_equal(error(0), kernel):
        return 0
    for extra in range(1, _MOST):
        if float(np.sum(error(extra) ** 2)) <= _NOISE_SHARE * energy:
            return extra
    return _MOST
