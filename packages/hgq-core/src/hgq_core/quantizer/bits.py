"""The widths that EBOPs counts, with their specified derivative: the one statement for every quantizer type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_core.modes import Overflow
from hgq_core.spec import KBI, KIF, Dummy, Float

if TYPE_CHECKING:
    from collections.abc import Callable

    from hgq_core.ops import Ops
    from hgq_core.spec import Spec

__all__ = ["counted", "counted_bits", "full_width"]


def counted(ops: Ops, spec: Spec, whole: Callable[[str], Any]) -> Any:
    """The width that EBOPs counts of each element (bits), differentiable.

    Fixed point counts `counted_bits`; in kbi that is ``b``, whatever the range. A minifloat counts ``m + e + 1``, and 0
    for ``m = -1``. A dummy counts 0, a plain number: without a format there is no hardware to count.

    Args:
        ops: the array library.
        spec: the quantizer.
        whole: gives a width by its name, as a whole number of bits.

    >>> from hgq_core.ops import NUMPY
    >>> widths = {"k": 1.0, "b": 5.0, "i": 2.0, "m": 2.0, "e": 4.0}
    >>> modes = ("WRAP", "SAT")
    >>> [float(counted(NUMPY, KBI(overflow_mode=mode), widths.__getitem__)) for mode in modes]
    [5.0, 6.0]
    >>> [float(counted(NUMPY, spec, widths.__getitem__)) for spec in (Float(), Dummy())]
    [7.0, 0.0]
    """
    if isinstance(spec, Dummy):
        return 0.0
    if isinstance(spec, Float):
        m = whole("m")
        return ops.where(m < 0, 0.0, m + whole("e") + 1.0)
    width = whole("b") if isinstance(spec, KBI) else whole("i") + whole("f")
    if spec.overflow_mode is not Overflow.SAT:
        return _alone(ops, width)
    return _with_sign(ops, whole("k"), width)


def full_width(ops: Ops, spec: Spec, whole: Callable[[str], Any]) -> Any:
    """The width of fixed point that a table has as a number of bits: that of `counted`, with the sign in every mode.

    An element that is always 0 has none; neither has the sign alone under WRAP and SAT_SYM.

    >>> from hgq_core.ops import NUMPY
    >>> [float(full_width(NUMPY, KBI(), {"k": 1.0, "b": b, "i": 2.0}.__getitem__)) for b in (0.0, 1.0, 5.0)]
    [0.0, 2.0, 6.0]
    """
    bits = counted(ops, spec, whole)
    if not isinstance(spec, KIF | KBI) or spec.overflow_mode is Overflow.SAT:
        return bits
    return bits + ops.where(bits > 0, whole("k") + bits * 0, bits * 0)


def counted_bits(ops: Ops, k: Any, i: Any, f: Any, overflow_mode: Overflow) -> Any:
    """The width that EBOPs counts: ``max(i + f, 0)``, plus k for SAT where the element is alive.

    A dead element, ``k + i + f <= 0``, counts 0 under SAT too, where ``b + k`` would be 1 for a signed one: its value
    is always 0, so that no hardware is built for it.

    The derivative to ``i + f`` is 1 where it is 0 or more and 0 below, on every backend: an element of 0 bits is told
    what its first bit would cost, as one of 1 bit is. A maximum of the two would leave the derivative at 0 to each
    framework's own convention (0, 1/2 or 1); with 0 there, elements hover at the edge of 0 and 1 bits and a network
    costs two to three times as much at equal accuracy (`benchmarks/fronts.py`).

    >>> from hgq_core.ops import NUMPY
    >>> [float(counted_bits(NUMPY, 1.0, 3.0, -3.0, mode)) for mode in (Overflow.WRAP, Overflow.SAT)]
    [0.0, 1.0]
    """
    width = i + f
    return _with_sign(ops, k, width) if overflow_mode is Overflow.SAT else _alone(ops, width)


def _alone(ops: Ops, width: Any) -> Any:
    return ops.where(width >= 0, width, width * 0)


def _with_sign(ops: Ops, k: Any, width: Any) -> Any:
    return _alone(ops, width) + ops.where((k + width) > 0, k + width * 0, width * 0)
