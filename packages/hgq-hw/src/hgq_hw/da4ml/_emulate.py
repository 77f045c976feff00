"""Runs da4ml's logic on numbers, exactly, whatever its widths.

da4ml 0.6.0 has two emulations of one logic. The compiled one is fast, but it keeps the lowest number of a format in 32
bits: a signed number of more than 32 bits that enters, wraps or is chosen comes out as another one. The one in Python
computes in float64, which holds every number that `hgq_hw.da4ml.lower` lets through, one vector at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from da4ml.types import minimal_kif

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["emulate"]

_WIDEST = 32
_LIMITED = (-1, 3, 6)
"""Operations whose result the compiled emulation reduces to its format: input, wrap, multiplexer."""


def emulate(logic: Any, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the logic gives for numbers at its inputs.

    Args:
        logic: da4ml's combinational logic, or one stage of a pipeline.
        values: ``(batch, inputs)``, representable in the inputs' formats.

    Returns:
        ``(batch, outputs)``.
    """
    if not len(values):
        return np.zeros((0, logic.shape[1]))
    if any(_beyond_compiled(op) for op in logic.ops):
        return np.array([logic(row) for row in values], dtype=np.float64)
    return np.asarray(logic.predict(np.ascontiguousarray(values)), dtype=np.float64)


def _beyond_compiled(op: Any) -> bool:
    if op.opcode not in _LIMITED and -op.opcode not in _LIMITED:
        return False
    return bool(op.qint.min < 0 and sum(minimal_kif(op.qint)) > _WIDEST)
