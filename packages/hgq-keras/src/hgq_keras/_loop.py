"""The loop of a recurrent layer, in which the ranges of quantizers are states that each step hands to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from hgq_keras._ops import read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.layers.steps import Scanned
    from hgq_keras._quantizer import Quantizer

__all__ = ["looped"]


def looped(
    step: Callable[..., tuple[Any, ...]],
    xs: Any,
    states: Sequence[Any],
    kind: Scanned,
    quantizers: Sequence[Quantizer],
    *,
    training: bool | None,
    unroll: bool,
) -> Any:
    """The outputs of ``step(x, *states) -> (y, *states)`` along axis 1 of xs, stacked there.

    A step may be traced once for all, so that what its quantizers store goes through the loop by `keras.StatelessScope`
    and is assigned behind it. A range decays once in a batch, before the first step.

    Args:
        step: one step.
        xs: the sequence.
        states: the first states.
        kind: the loop.
        quantizers: those of data that a step calls.
        training: whether ranges follow the data.
        unroll: write the steps one after the other in place of a loop.
    """
    variables = list({id(v): v for quantizer in quantizers for v in quantizer.variables}.values())
    held = {id(variable): read(variable) for variable in variables}
    moving = list({id(v): v for quantizer in quantizers for v in quantizer.moving(training)}.values())
    for quantizer in quantizers:
        held.update((id(variable), decayed) for variable, decayed in quantizer.decayed(training))

    def one(carry: Any, x: Any) -> Any:
        moved, states = carry
        now = held | {id(variable): value for variable, value in zip(moving, moved, strict=True)}
        with keras.StatelessScope(state_mapping=[(variable, now[id(variable)]) for variable in variables]) as scope:
            y, *states = step(x, *states)
        return (tuple(scope.get_current_value(variable) for variable in moving), tuple(states)), y

    first = tuple(held[id(variable)] for variable in moving), tuple(states)
    along = ops.transpose(xs, (1, 0, *range(2, len(xs.shape))))
    y = ops.zeros((ops.shape(xs)[0], *kind.body.output_shape), dtype=xs.dtype)
    for quantizer in quantizers:
        quantizer.repeat(True)
    try:
        moved, ys = _written_out(one, first, along, kind) if unroll else _scanned(one, first, along, y, kind)
    finally:
        for quantizer in quantizers:
            quantizer.repeat(False)
    for variable, value in zip(moving, moved, strict=True):
        variable.assign(value)
    return ops.transpose(ys, (1, 0, *range(2, len(ys.shape))))


def _scanned(one: Callable[..., Any], first: Any, along: Any, y: Any, kind: Scanned) -> tuple[Any, Any]:
    """What variables hold at the end, and the outputs along axis 0; y is like one of them."""
    if keras.backend.backend() != "tensorflow":
        (moved, _), ys = ops.scan(one, first, along, length=kind.steps, reverse=kind.reverse)
        return moved, ys
    # The scan of keras.ops wants outputs that look like the states, on TensorFlow.
    import tensorflow as tf

    def after(carry: Any, x: Any) -> Any:
        return one(carry[0], x)

    (moved, _), ys = tf.scan(after, along, initializer=(first, y), reverse=kind.reverse)
    last = 0 if kind.reverse else -1
    return tuple(value[last] for value in moved), ys


def _written_out(one: Callable[..., Any], first: Any, along: Any, kind: Scanned) -> tuple[Any, Any]:
    carry, ys = first, {}
    for number in range(kind.steps)[:: -1 if kind.reverse else 1]:
        carry, ys[number] = one(carry, along[number])
    return carry[0], ops.stack([ys[number] for number in range(kind.steps)])
