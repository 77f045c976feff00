"""The range of a batch under WRAP, by the rules of `hgq_core.quantizer.range`, also where replicas share the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import keras
from keras import ops

from hgq_core.quantizer import Mode, fraction
from hgq_core.quantizer.range import limited, needed, needed_as_it_stands, rounds_below_zero, wanted
from hgq_keras._ops import KERAS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.spec import KBI, KIF

__all__ = ["Range", "follow", "observe"]


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


def follow(
    x: Any, k: Any, i: Any, second: Any, spec: KIF | KBI, axes: Sequence[int], mode: Mode, *, repeated: bool = False
) -> Range:
    """The range after this batch.

    Args:
        x: numbers before quantization; in kif also after it, which has the same extremes.
        k: sign bits.
        i: stored integer bits.
        second: fraction bits (kif) or bits (kbi), whole.
        spec: the quantizer.
        axes: axes that share a width.
        mode: what the batch is quantized for.
        repeated: whether it goes on with the batch of the last call.
    """
    low, high = _extremes(x, axes, mode)
    wants = wanted(KERAS, spec, i, needed(KERAS, spec, low, high, second), mode, repeated=repeated)
    leaves = limited(KERAS, spec, wants)
    if mode is Mode.CALIBRATE:
        whole = KERAS.rint(leaves)
        k = _signed(k, rounds_below_zero(KERAS, spec, low, whole, fraction(spec, second, whole)))
    return Range(k, wants, leaves)


def observe(x: Any, k: Any, i: Any, f: Any, spec: KIF | KBI, axes: Sequence[int]) -> Range:
    """What calibration notes of a frozen range: the sign and the integer bits that the data want on its grid.

    Args:
        x: numbers before quantization.
        k: sign bits that earlier batches wanted.
        i: integer bits that earlier batches wanted.
        f: fraction bits of the frozen range, whole.
        spec: the quantizer.
        axes: axes that share a width.
    """
    low, high = _extremes(x, axes, Mode.CALIBRATE)
    needs = needed_as_it_stands(KERAS, spec, low, high, f)
    wants = wanted(KERAS, spec, i, needs, Mode.CALIBRATE)
    return Range(_signed(k, rounds_below_zero(KERAS, spec, low, needs, f)), wants, limited(KERAS, spec, wants))


def _signed(k: Any, negative: Any) -> Any:
    return ops.maximum(k, ops.cast(negative, k.dtype))


def _extremes(x: Any, axes: Sequence[int], mode: Mode) -> tuple[Any, Any]:
    """Smallest and largest numbers over axes, of the whole batch; of a weight, which each replica has, its own."""
    x = ops.stop_gradient(x)
    low, high = (KERAS.amin(x, tuple(axes)), KERAS.amax(x, tuple(axes))) if axes else (x, x)
    return (low, high) if mode is Mode.INFER else _of_all_replicas(low, high)


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
