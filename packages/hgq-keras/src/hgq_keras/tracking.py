"""Integer bits under WRAP: they are not trained but follow the data (specification, numbers, section 6)."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from keras import ops

from hgq_core.modes import Overflow
from hgq_core.quantize import fixed_point, integer_bits_kbi, integer_bits_kif
from hgq_core.spec import KBI, KIF
from hgq_keras.ops import KERAS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Mode", "follow"]


class Mode(Enum):
    """How a quantizer acts; calibration is set explicitly by `hgq_keras.calibrate.calibrating`."""

    TRAIN = "train"
    CALIBRATE = "calibrate"
    INFER = "infer"


def follow(x: Any, k: Any, i: Any, second: Any, spec: KIF | KBI, axes: Sequence[int], mode: Mode) -> tuple[Any, Any]:
    """``(k, i)`` after this batch; the extremes of x are enough, because rounding is monotone.

    Args:
        x: numbers before quantization; in kif also after it, which has the same extremes.
        k: sign bits.
        i: stored integer bits.
        second: fraction bits (kif) or bits (kbi), whole.
        spec: the quantizer.
        axes: axes that share a width.
        mode: TRAIN lets ``i`` fall by ``i_decay_speed`` a step, CALIBRATE only lets it grow and sets ``k`` where a
            number is negative, INFER is for weights, whose range is that of the kernel.
    """
    x = ops.stop_gradient(x)
    low, high = (KERAS.amin(x, tuple(axes)), KERAS.amax(x, tuple(axes))) if axes else (x, x)
    needs = integer_bits_kif if isinstance(spec, KIF) else integer_bits_kbi
    needed = needs(KERAS, low, high, second, round_mode=spec.round_mode)
    if mode is Mode.TRAIN:
        needed = ops.maximum(i - spec.i_decay_speed, needed)
    elif mode is Mode.CALIBRATE:
        needed = ops.maximum(i, needed)
    if spec.ic is not None:
        needed = spec.ic(needed)
    if mode is Mode.CALIBRATE:
        f = second if isinstance(spec, KIF) else second - ops.round(needed)
        signed = ops.ones_like(k)
        lowest = fixed_point(
            KERAS, low, signed, needed, f, round_mode=spec.round_mode, overflow_mode=Overflow.WRAP, wrap=False
        )
        k = ops.maximum(k, ops.cast(lowest < 0, k.dtype))
    return k, needed
