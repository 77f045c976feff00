"""Never a dead start: an initialiser of widths that looks at the kernel."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from hgq_core.alive import widened
from hgq_core.errors import DeadLayerWarning
from hgq_core.ops import NUMPY
from hgq_core.spec import KBI, KIF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hgq_core.granularity import Sharing

__all__ = ["alive", "values_at_once"]


@contextmanager
def values_at_once() -> Iterator[None]:
    """Variables that are made in the block have values; TensorFlow would wait for the end of the trace of a step."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    with tf.init_scope():
        yield


def _concrete(variable: Any) -> np.ndarray | None:
    """The variable's value, or None while a framework only traces shapes and there is none yet."""
    try:
        return np.asarray(ops.convert_to_numpy(variable))
    except (TypeError, AttributeError, NotImplementedError):
        return None


def alive(start: Any, kernel: Any, owner: str, spec: KIF | KBI, sharing: Sharing, k: Any, i: Any) -> Callable[..., Any]:
    """The initialiser of f (kif) or b (kbi), raised where the kernel would start as all zero.

    It runs when Keras gives the variables their values, which for a model that is built while its step is traced is
    after the layer's own `build`.

    Args:
        start: the initialiser that the user gave.
        kernel: the variable that will be quantized.
        owner: name of its layer, for the warning.
        spec: the quantizer.
        sharing: which elements share a width.
        k: variable of the sign bits.
        i: variable of the integer bits; lowered where the constraint leaves no room for more bits.
    """
    initializer = keras.initializers.get(start)

    def initial(shape: Sequence[int], dtype: Any = None) -> Any:
        widths = initializer(shape, dtype)
        values = _concrete(kernel)
        if values is None:
            return widths
        second, whole_i = ops.convert_to_numpy(widths), np.rint(ops.convert_to_numpy(i))
        constraint = spec.fc if isinstance(spec, KIF) else spec.bc
        change = widened(
            sharing.split(NUMPY, values),
            ops.convert_to_numpy(k),
            whole_i,
            np.rint(second) if isinstance(spec, KIF) else np.rint(second) - whole_i,
            round_mode=spec.round_mode,
            overflow_mode=spec.overflow_mode,
            room=getattr(constraint, "max_value", np.inf) - float(np.max(second, initial=-np.inf)),
        )
        if not change:
            return widths
        message = (
            f"layer {owner!r}: its initial widths would round most of the kernel to zero or clip it, and it would "
            f"hardly train; starting with {change.fraction} more fraction bits and {change.integer} more integer bits. "
            "To choose them yourself raise b0 (kbi) or f0 (kif)"
        )
        warnings.warn(message, DeadLayerWarning, stacklevel=2)
        if change.integer:
            i.assign(ops.convert_to_numpy(i) + change.integer)
        return widths + float(change.fraction if isinstance(spec, KIF) else change.bits)

    return initial
