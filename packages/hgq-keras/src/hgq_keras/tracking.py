"""Integer bits under WRAP: they are not trained but follow the data (specification, numbers, section 6)."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
from keras import ops

from hgq_core.modes import Overflow
from hgq_core.quantize import fixed_point, integer_bits_kbi, integer_bits_kif
from hgq_core.spec import KBI, KIF
from hgq_keras.ops import KERAS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Mode", "Range", "follow"]


class Mode(Enum):
    """How a quantizer acts; calibration is set explicitly by `hgq_keras.calibrate.calibrating`."""

    TRAIN = "train"
    CALIBRATE = "calibrate"
    INFER = "infer"


class Range(NamedTuple):
    """Sign and integer bits after a batch.

    Attributes:
        k: sign bits.
        wanted: integer bits that the data want.
        limited: what the constraint leaves of them.
    """

    k: Any
    wanted: Any
    limited: Any


def follow(x: Any, k: Any, i: Any, second: Any, spec: KIF | KBI, axes: Sequence[int], mode: Mode) -> Range:
    """The range after this batch; the extremes of x are enough, because rounding is monotone.

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
    if mode is not Mode.INFER:
        low, high = _of_all_replicas(low, high)
    needs = integer_bits_kif if isinstance(spec, KIF) else integer_bits_kbi
    wanted = needs(KERAS, low, high, second, round_mode=spec.round_mode)
    if mode is Mode.TRAIN:
        wanted = ops.maximum(i - spec.i_decay_speed, wanted)
    elif mode is Mode.CALIBRATE:
        wanted = ops.maximum(i, wanted)
    limited = wanted if spec.ic is None else spec.ic(wanted)
    if mode is Mode.CALIBRATE:
        f = second if isinstance(spec, KIF) else second - ops.round(limited)
        signed = ops.ones_like(k)
        lowest = fixed_point(
            KERAS, low, signed, limited, f, round_mode=spec.round_mode, overflow_mode=Overflow.WRAP, wrap=False
        )
        k = ops.maximum(k, ops.cast(lowest < 0, k.dtype))
    return Range(k, wanted, limited)


def _of_all_replicas(low: Any, high: Any) -> tuple[Any, Any]:
    """The extremes over the parts of a batch that a `tf.distribute` strategy gives to several replicas."""
    if keras.backend.backend() != "tensorflow":
        return low, high
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return low, high
    # TensorFlow reduces to sums only. Each replica fills a row of its own, so that the sum has all of them, exactly.
    number = replica.num_replicas_in_sync
    row = tf.equal(tf.range(number), replica.replica_id_in_sync_group)
    mine = tf.stack([low, high])
    rows = tf.where(tf.reshape(row, (number, *[1] * len(mine.shape))), mine[None], tf.zeros_like(mine)[None])
    every = replica.all_reduce(tf.distribute.ReduceOp.SUM, rows)
    return tf.reduce_min(every[:, 0], axis=0), tf.reduce_max(every[:, 1], axis=0)
