"""Never a dead start, never a nearly dead one: a weight is judged against the widths that quantize it."""

from __future__ import annotations

import hashlib
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import keras
import numpy as np
from keras import ops

from hgq_core.alive import Widening, widened
from hgq_core.errors import DeadLayerWarning
from hgq_core.modes import Overflow
from hgq_core.ops import NUMPY
from hgq_core.quantize import integer_bits_kbi
from hgq_core.spec import KBI, KIF
from hgq_keras._ops import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hgq_core.granularity import Sharing

__all__ = ["Weight", "alive", "held", "in_trace", "outside_of_traces", "values_at_once", "widening"]

T = TypeVar("T")


@contextmanager
def values_at_once() -> Iterator[None]:
    """Variables that are made in the block have values, and can be trained.

    TensorFlow would wait for the end of the trace of a step; PyTorch would make them for its inference mode only.
    """
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            with tf.init_scope():
                yield
        case "torch":
            import torch

            with torch.inference_mode(mode=False):
                yield
        case _:
            yield


def outside_of_traces(function: Callable[[], T]) -> T:
    """What the function gives on the values that variables have now, also while a framework traces a call of a model.

    Keras keeps its scopes, and the frameworks what they trace, for each thread; another one sees neither.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(function).result()


def in_trace(tensor: Any) -> bool:
    """Whether a result has no numbers yet, because the call that gave it is only traced."""
    match keras.backend.backend():
        case "jax":
            import jax

            return isinstance(tensor, jax.core.Tracer)
        case "tensorflow":
            import tensorflow as tf

            return not tf.executing_eagerly()
    return bool(tensor.device.type == "meta")


def held(variable: Any) -> Any:
    """The value of a variable outside of any trace; None if it has none, because it is new or a step has taken it.

    Keras answers with an initial value then, another one each time, or none of them is left.
    """
    try:
        value = variable.value
        return value if variable.value is value else None
    except TypeError:
        return None


class Weight:
    """The weight that a quantizer quantizes, and as what it was seen last.

    A weight that moved since the last look while its widths did not was assigned, or loaded from a model without
    widths; training moves both, and may make a weight as coarse as it likes.

    Args:
        variables: of the layer.
        compute: the weight from their tensors.
        owner: name of the layer, for warnings.
    """

    def __init__(self, variables: Sequence[Any], compute: Callable[..., Any], owner: str) -> None:
        # Behind a function, since Keras would take a variable that it finds in an attribute for one of the quantizer's.
        self._variables = lambda: variables
        self._compute = compute
        self.owner = owner
        self._seen: tuple[bytes, bytes] | None = None
        self._trained = False

    @property
    def tensor(self) -> Any:
        """The weight, as part of a trace if there is one."""
        return self._compute(*map(read, self._variables()))

    def held(self) -> np.ndarray | None:
        """The weight as an array; None while its variables have no values. Not to be called inside a trace."""
        if any(held(variable) is None for variable in self._variables()):
            return None
        return np.asarray(ops.convert_to_numpy(self.tensor))

    def first_step(self, training: bool | None) -> bool:
        """Whether this is the first call in training; not inside of ``torch.compile``, which takes no other thread."""
        if not training or self._trained:
            return False
        self._trained = True
        if keras.backend.backend() != "torch":
            return True
        import torch

        return not torch.compiler.is_compiling()

    def assigned(self, values: np.ndarray, width: np.ndarray) -> bool:
        """Whether the weight was assigned since it was seen, or never seen."""
        seen = self._seen
        return seen is None or (seen[0] != _digest(values) and seen[1] == _digest(width))

    def see(self, values: np.ndarray, width: np.ndarray) -> None:
        """Remember the weight and the width that goes with it."""
        self._seen = _digest(values), _digest(width)


def _digest(values: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(values, dtype=np.float64).tobytes(), digest_size=16).digest()


def widening(
    values: np.ndarray, spec: KIF | KBI, sharing: Sharing, k: np.ndarray, i: np.ndarray, second: np.ndarray
) -> Widening:
    """By how much to widen the formats of a weight.

    Args:
        values: the weight.
        spec: its quantizer.
        sharing: which elements share a width.
        k: sign bits.
        i: stored integer bits.
        second: stored fraction bits (kif) or bits (kbi).
    """
    split = sharing.split(NUMPY, values)
    whole_i, whole, limit = np.rint(i), np.rint(second), spec.fc if isinstance(spec, KIF) else spec.bc
    if isinstance(spec, KIF):
        f = whole
    else:
        if spec.is_weight and spec.overflow_mode is Overflow.WRAP:
            axes = sharing.shared_axes
            low, high = (NUMPY.amin(split, axes), NUMPY.amax(split, axes)) if axes else (split, split)
            whole_i = integer_bits_kbi(NUMPY, low, high, whole, round_mode=spec.round_mode)
            whole_i = whole_i if spec.ic is None else ops.convert_to_numpy(spec.ic(ops.convert_to_tensor(whole_i)))
        f = whole - whole_i
    return widened(
        split,
        k,
        whole_i,
        f,
        round_mode=spec.round_mode,
        overflow_mode=spec.overflow_mode,
        room=getattr(limit, "max_value", np.inf) - float(np.max(whole, initial=-np.inf)),
    )


def warn_widened(owner: str, change: Widening) -> None:
    """Say that the widths of a layer were raised, and how to choose them."""
    message = (
        f"layer {owner!r}: its widths would round most of its weights to zero or clip them, and it would hardly train; "
        f"going on with {change.fraction} more fraction bits and {change.integer} more integer bits. "
        "To choose them yourself raise b0 (kbi) or f0 (kif)"
    )
    warnings.warn(message, DeadLayerWarning, stacklevel=3)


def alive(
    start: Any, weight: Weight, spec: KIF | KBI, sharing: Sharing, k: Any, i: Any
) -> Callable[[Sequence[int], Any], Any]:
    """The initialiser of f (kif) or b (kbi), raised where the weight would start as all, or almost all, zero.

    It runs when Keras gives the variables their values, which for a model that is built while its step is traced is
    after the layer's own `build`.

    Args:
        start: the initialiser that the user gave.
        weight: what will be quantized.
        spec: the quantizer.
        sharing: which elements share a width.
        k: variable of the sign bits.
        i: variable of the integer bits.
    """
    initializer = keras.initializers.get(start)

    def initial(shape: Sequence[int], dtype: Any = None) -> Any:
        widths = initializer(shape, dtype)
        if in_trace(widths):
            return widths
        values = weight.held()
        if values is None:
            return widths
        second, stored_i = ops.convert_to_numpy(widths), ops.convert_to_numpy(i)
        change = widening(values, spec, sharing, ops.convert_to_numpy(k), stored_i, second)
        if change:
            warn_widened(weight.owner, change)
            widths = widths + float(change.fraction if isinstance(spec, KIF) else change.bits)
            if change.integer:
                i.assign(stored_i + change.integer)
        weight.see(values, ops.convert_to_numpy(widths))
        return widths

    return initial
