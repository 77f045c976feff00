"""The surrogate gradients of the specification (numbers, section 5) in closed form, one element at a time.

Plain Python: this is the reference that every backend must equal. It shares no code with `hgq_core.quantize`.
"""

from __future__ import annotations

from math import log

from hgq_core.modes import Overflow

__all__ = ["expected_gradients"]


def expected_gradients(
    x: float, xq: float, g: float, k: int, i: int, f: int, overflow_mode: Overflow
) -> tuple[float, float, float]:
    """``(dL/dx, dL/di at fixed f, dL/df at fixed i)`` of one element.

    Args:
        x: the number before quantization.
        xq: the number after quantization.
        g: upstream gradient dL/dxq.
        k: sign bit.
        i: integer bits.
        f: fraction bits.
        overflow_mode: see `Overflow`.

    >>> [round(d, 4) for d in expected_gradients(9.0, 3.5, 1.0, 1, 2, 1, Overflow.SAT)]
    [0.0, 2.7726, 0.3466]
    """
    ln2 = log(2.0)
    if overflow_mode == Overflow.WRAP:
        return g, 0.0, g * ln2 * (x - xq)
    i = max(i, -f)
    highest = 2.0**i - 2.0**-f
    symmetric = overflow_mode == Overflow.SAT_SYM
    lowest = -k * highest if symmetric else -k * 2.0**i
    if x > highest:
        return 0.0, g * ln2 * 2.0**i, g * ln2 * 2.0**-f
    if x < lowest:
        return 0.0, -g * k * ln2 * 2.0**i, -g * k * ln2 * 2.0**-f if symmetric else 0.0
    return g, 0.0, g * ln2 * (x - xq)
