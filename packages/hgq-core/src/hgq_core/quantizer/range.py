"""How the range of WRAP follows the data: it is not trained (specification, numbers, section 6).

A batch is known by its extremes, because rounding is monotone. From them follow, for each element of the widths:

* *needed*: the fewest integer bits that hold the batch once it is rounded;
* *wanted*: what the mode makes of it and of the stored ``i``;
* *limited*: what the constraint leaves of that, which is stored and used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.modes import Overflow
from hgq_core.ops import EMPTY
from hgq_core.quantize import integer_bits_kbi, integer_bits_kif, round_scaled
from hgq_core.quantizer.mode import Mode
from hgq_core.spec import KBI, KIF, Bounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_core.ops import Ops
    from hgq_core.spec import Spec

__all__ = [
    "cut",
    "follows",
    "follows_data",
    "fresh",
    "is_weight_range",
    "limited",
    "needed",
    "needed_as_it_stands",
    "rounds_below_zero",
    "tracks",
    "wanted",
    "wraps",
]


# --- which ranges follow ----------------------------------------------------------------------------------------------


def tracks(spec: Spec) -> bool:
    """Whether ``i`` is that of what comes by, and not trained: fixed point under WRAP."""
    return isinstance(spec, KIF | KBI) and spec.overflow_mode is Overflow.WRAP


def is_weight_range(spec: Spec) -> bool:
    """Whether the range is always recomputed from the values of a weight, at inference too, whatever is stored.

    >>> is_weight_range(KBI(is_weight=True)), is_weight_range(KBI(is_weight=True, overflow_mode="SAT"))
    (True, False)
    """
    return isinstance(spec, KIF | KBI) and spec.is_weight and tracks(spec)


def follows_data(spec: Spec) -> bool:
    """Whether the stored range is that of data that were seen: under WRAP, but for weights and fixed widths.

    >>> follows_data(KIF()), follows_data(KIF(is_weight=True)), follows_data(KIF(trainable=False))
    (True, False, False)
    """
    return isinstance(spec, KIF | KBI) and tracks(spec) and not spec.is_weight and spec.trainable


def follows(spec: Spec, mode: Mode) -> bool:
    """Whether a batch sets the range that it is quantized with; at inference only that of a weight does."""
    return tracks(spec) and (mode is not Mode.INFER or is_weight_range(spec))


def wraps(spec: Spec, mode: Mode) -> bool:
    """Whether numbers beyond the range wrap: under WRAP at inference, but for weights; otherwise it only rounds."""
    return tracks(spec) and not follows(spec, mode)


# --- what it becomes --------------------------------------------------------------------------------------------------


def needed(ops: Ops, spec: KIF | KBI, low: Any, high: Any, width: Any) -> Any:
    """The fewest integer bits that hold the rounded extremes, exactly: a minimum of ``-2**n`` needs n bits.

    Args:
        ops: the array library.
        spec: the quantizer.
        low: the smallest number of those that share a width; in kif it may be rounded already.
        high: the largest one.
        width: ``f`` (kif) or ``b`` (kbi), whole; in kbi the grid is the one that results, ``f = b - i``.

    >>> from hgq_core.ops import NUMPY
    >>> [float(needed(NUMPY, KIF(), low, high, 2.0)) for low, high in ((-4.0, 0.0), (0.0, 4.0), (0.0, 3.9))]
    [2.0, 3.0, 3.0]
    """
    function = integer_bits_kif if isinstance(spec, KIF) else integer_bits_kbi
    return function(ops, low, high, width, round_mode=spec.round_mode)


def needed_as_it_stands(ops: Ops, spec: KIF | KBI, low: Any, high: Any, f: Any) -> Any:
    """The same for a range that is frozen, on the grid ``2**-f`` as it is: in kbi it does not move either."""
    return integer_bits_kif(ops, low, high, f, round_mode=spec.round_mode)


def wanted(ops: Ops, spec: KIF | KBI, i: Any, needs: Any, mode: Mode, *, repeated: bool = False) -> Any:
    """Integer bits after a batch, before the constraint, without gradient.

    ``max(i - i_decay_speed, needed)`` in training, ``max(i, needed)`` in calibration, ``needed`` at inference, where
    only weights come by.

    Args:
        ops: the array library.
        spec: the quantizer.
        i: integer bits as stored.
        needs: those that the batch needs.
        mode: what it is quantized for.
        repeated: whether this batch is seen a second time, as activation checkpointing does: that is no step, and
            nothing decays.

    >>> from hgq_core.ops import NUMPY
    >>> spec = KIF(i_decay_speed=0.5)
    >>> [float(wanted(NUMPY, spec, 5.0, 2.0, mode)) for mode in Mode]
    [4.5, 5.0, 2.0]
    """
    if mode is Mode.INFER:
        return needs
    return ops.maximum(i - spec.i_decay_speed if mode is Mode.TRAIN and not repeated else i, needs)


def limited(ops: Ops, spec: KIF | KBI, i: Any) -> Any:
    """What the constraint ``ic`` leaves of integer bits; it holds in kif and in kbi alike.

    >>> from hgq_core.ops import NUMPY
    >>> limited(NUMPY, KBI(ic=Bounds(-1, 3)), np.array([-4.0, 5.0])).tolist()
    [-1.0, 3.0]
    """
    if isinstance(spec.ic, Bounds):
        return spec.ic.clip(ops, i)
    return i if spec.ic is None else spec.ic(i)


def rounds_below_zero(ops: Ops, spec: KIF | KBI, low: Any, i: Any, f: Any) -> Any:
    """Whether the smallest number is negative once it is rounded, so that calibration sets ``k``.

    An element that even a sign leaves without a bit is 0.

    Args:
        ops: the array library.
        spec: the quantizer.
        low: the smallest number of those that share a width.
        i: integer bits of the range, whole.
        f: fraction bits, whole.

    >>> from hgq_core.ops import NUMPY
    >>> low = np.array([-0.25, -0.1, 0.0, -9.0])
    >>> rounds_below_zero(NUMPY, KIF(), low, np.array([-2.0, -2.0, -2.0, -3.0]), 2.0).tolist()
    [True, False, False, False]
    """
    negative = round_scaled(ops, low, ops.power_of_two(f), spec.round_mode) < 0
    return negative & (1.0 + i + f > 0)


def fresh(ops: Ops, spec: KIF | KBI, zeros: Any) -> Any:
    """Integer bits before any data were seen: the fewest that the constraint allows. The sign is absent, ``k = 0``.

    Args:
        ops: the array library.
        spec: the quantizer.
        zeros: of the shape of the widths.

    >>> from hgq_core.ops import NUMPY
    >>> [float(fresh(NUMPY, KIF(ic=limit), np.zeros(()))) for limit in (Bounds(-23, 23), None)]
    [-23.0, -32.0]
    """
    return limited(ops, spec, zeros + EMPTY)


# --- what calibration observes ----------------------------------------------------------------------------------------


def cut(
    needed: NDArray[Any], k: NDArray[Any], i: NDArray[Any], f: NDArray[Any], negative: NDArray[Any] | None = None
) -> tuple[int, int] | None:
    """Integer bits that calibration data need and those that a range has, of the element that lacks most; None if none.

    Data that all round to 0 need none, whatever the bits that stand for them (``-f`` in kif).

    Args:
        needed: integer bits that hold the rounded data, of each element.
        k: sign bits of the range.
        i: integer bits of the range.
        f: fraction bits.
        negative: of a range that is frozen, where the rounded data fall below 0. A frozen range may lack the sign too,
            so that both numbers count it; a dead element of it is 0 for any data and lacks nothing.

    >>> bits = [np.array([n]) for n in (4, 1, 3, 0)]
    >>> cut(*bits)
    (4, 3)
    >>> cut(*bits, negative=np.array([False]))
    (5, 4)
    """
    holds = needed <= -f
    if negative is not None:
        unsigned = (k == 0) & negative
        holds = (holds & ~unsigned) | (k + i + f <= 0)
        # Integer bits do not stand in for a sign that is absent, nor a sign for integer bits.
        needed, i = np.where(unsigned, np.maximum(needed, i) + 1, needed + k), i + k
    lack = np.where(holds, 0, needed - i)
    if not lack.size:
        return None
    most = np.unravel_index(np.argmax(lack), lack.shape)
    return (int(needed[most]), int(i[most])) if lack[most] > 0 else None
