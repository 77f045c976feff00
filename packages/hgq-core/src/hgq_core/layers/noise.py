"""What compilers and processors may compute differently in float64, taken away, so that a table is one on all of them.

Frameworks replace ``x * sigmoid(x)`` in float32 by kernels of their own, each of which rounds the last bits in its own
way. In float64 they differ too, but 2**-29 further down: there `without_noise` removes it, and float32 is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["bits_without_noise", "without_noise"]

_NOISE = 12
"""Last bits of float64 in which compilers may differ."""


def bits_without_noise(bits: Any) -> Any:
    """The bits of float64 numbers, as int64 of any array library, rounded to 53 - 12 significant bits.

    A result such as ``0.3 * x**2 - 0.7 * x`` may be meant to lie in the middle of two numbers of float32, and the noise
    of float64 would choose between them. This puts it into the middle, from where rounding is the same everywhere.
    """
    return (bits + (1 << (_NOISE - 1))) & -(1 << _NOISE)


def without_noise(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """The numbers, rounded as `bits_without_noise` says; then to be cast to float32.

    >>> bool(without_noise(np.array([0.75 + 2.0**-50])) == 0.75)
    True
    """
    bits: NDArray[np.int64] = bits_without_noise(np.ascontiguousarray(y, np.float64).view(np.int64))
    return bits.view(np.float64)
