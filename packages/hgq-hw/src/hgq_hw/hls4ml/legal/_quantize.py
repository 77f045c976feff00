"""The rule for quantizers: elements that can only be 0 are written as 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hgq_core.formats import Formats
from hgq_core.graph.ops import Quantize
from hgq_core.modes import Overflow, Round
from hgq_hw.hls4ml.boundary import effective
from hgq_hw.hls4ml.options import PER_TENSOR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_hw.hls4ml.legal._legalizer import Legalizer

__all__ = ["quantize"]


def quantize(op: Quantize, legal: Legalizer, x: str) -> str:
    """Quantize what is not 0.

    To round, ``ap_fixed`` reads the bit below the new step. Where that bit lies above all bits of the source there is
    none, and the C simulation ends the whole process. Such a number is less than half a step, so that it is 0.
    """
    formats = effective(op.formats, op.overflow)
    (given,) = legal.operand_formats
    wide = formats.broadcast_to(legal.node.shape)
    rounded_off = (op.round is not Round.TRN) & (given.k + given.i < -wide.f)
    zero = ~given.alive | ~wide.alive | rounded_off
    if legal.plain or legal.stream:
        return _of_one_type(op, formats, zero, legal, x)
    if np.any(zero & wide.alive):
        formats = Formats(*(np.where(zero, 0, part) for part in (wide.k, wide.i, wide.f)))
    return legal.add(Quantize(formats, op.round, op.overflow), x)


def _of_one_type(op: Quantize, formats: Formats, zero: NDArray[np.bool_], legal: Legalizer, x: str) -> str:
    """A quantizer where all elements have one type: another layer gives it its bits, unless there is none to give."""
    (given,) = legal.operand_formats
    wide = formats.broadcast_to(legal.node.shape)
    if zero.all():
        return legal.affine(x, 0.0)
    # The lowest number of a signed format has no place in the symmetric range of the same format.
    lowest = (given.k > 0) & (op.overflow is Overflow.SAT_SYM)
    if np.all((given.k <= wide.k) & (given.i + lowest <= wide.i) & (given.f <= wide.f) | ~given.alive):
        # hls4ml drops it, an output too.
        return x
    if legal.plain and wide.width[wide.alive].max() == 1:
        what = f"rounds or cuts to one bit, for which the types of hls4ml's {', '.join(PER_TENSOR)} have two"
        raise legal.refused(what, "give it one bit more, or use the back end Vitis or Vivado")
    return legal.add(Quantize(formats, op.round, op.overflow), x)
