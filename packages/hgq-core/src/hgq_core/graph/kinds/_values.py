"""What each kind of node computes: one rule each, ``(ops, op, operands) -> result``, for every array library.

Data has a leading batch axis, constants have none.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from hgq_core.graph.verbs import lookup_values, quantize_values
from hgq_core.ops import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.graph import ops as op
    from hgq_core.ops import Ops

    Operands = Sequence[Any]

__all__ = [
    "add",
    "broadcast",
    "clip",
    "compare",
    "concatenate",
    "constant",
    "contract",
    "convolve",
    "gather",
    "lookup",
    "maximum",
    "minimum",
    "multiply",
    "negate",
    "pad",
    "pool",
    "quantize",
    "reduce",
    "relu",
    "repeat",
    "reshape",
    "scanned",
    "select",
    "slice_",
    "subtract",
    "transpose",
]


def constant(ops: Ops, operation: op.Constant, _operands: Operands) -> Any:
    return ops.constant(operation.values)


def quantize(_ops: Ops, operation: op.Quantize, operands: Operands) -> Any:
    return quantize_values(operands[0], operation)


def lookup(_ops: Ops, operation: op.Lookup, operands: Operands) -> Any:
    return lookup_values(operands[0], operation)


def contract(ops: Ops, operation: op.Contract, operands: Operands) -> Any:
    return operation.apply(ops, operands[0], operands[1])


def convolve(ops: Ops, operation: op.Convolve, operands: Operands) -> Any:
    return operation.apply(ops, operands[0], operands[1])


def pool(ops: Ops, operation: op.Pool, operands: Operands) -> Any:
    return operation.apply(ops, operands[0])


def add(_ops: Ops, _operation: op.Add, operands: Operands) -> Any:
    return tree(operator.add, list(operands))


def multiply(_ops: Ops, _operation: op.Multiply, operands: Operands) -> Any:
    return tree(operator.mul, list(operands))


def maximum(ops: Ops, _operation: op.Maximum, operands: Operands) -> Any:
    return tree(ops.maximum, list(operands))


def minimum(ops: Ops, _operation: op.Minimum, operands: Operands) -> Any:
    return tree(ops.minimum, list(operands))


def subtract(_ops: Ops, _operation: op.Subtract, operands: Operands) -> Any:
    return operands[0] - operands[1]


def negate(_ops: Ops, _operation: op.Negate, operands: Operands) -> Any:
    return -operands[0]


def relu(ops: Ops, _operation: op.Relu, operands: Operands) -> Any:
    return ops.relu(operands[0])


def clip(ops: Ops, operation: op.Clip, operands: Operands) -> Any:
    return ops.clip(operands[0], operation.low, operation.high)


def compare(ops: Ops, operation: op.Compare, operands: Operands) -> Any:
    return ops.where(ops.compare(operation.kind, operands[0], operands[1]), 1.0, 0.0)


def select(ops: Ops, _operation: op.Select, operands: Operands) -> Any:
    return ops.where(ops.compare("!=", operands[0], 0), operands[1], operands[2])


def reduce(ops: Ops, operation: op.Reduce, operands: Operands) -> Any:
    over = tuple(a + 1 for a in operation.axes)
    verb = {"sum": ops.sum, "max": ops.amax, "min": ops.amin}[operation.kind]
    reduced = verb(operands[0], over)
    if operation.keepdims:
        return reduced
    return _reshaped(ops, reduced, [n for axis, n in enumerate(reduced.shape) if axis and axis not in over])


def _reshaped(ops: Ops, x: Any, shape: Sequence[int]) -> Any:
    # A batch of unknown size is -1, which no framework can tell where there are no elements.
    return ops.reshape(x, (x.shape[0] if 0 in shape else -1, *shape))


def reshape(ops: Ops, operation: op.Reshape, operands: Operands) -> Any:
    return _reshaped(ops, operands[0], operation.shape)


def transpose(ops: Ops, operation: op.Transpose, operands: Operands) -> Any:
    return ops.transpose(operands[0], (0, *(a + 1 for a in operation.axes)))


def concatenate(ops: Ops, operation: op.Concatenate, operands: Operands) -> Any:
    return ops.concatenate(list(operands), operation.axis + 1)


def slice_(_ops: Ops, operation: op.Slice, operands: Operands) -> Any:
    cuts = zip(operation.start, operation.stop, operation.step, strict=True)
    return operands[0][(slice(None), *(slice(*cut) for cut in cuts))]


def pad(ops: Ops, operation: op.Pad, operands: Operands) -> Any:
    return ops.pad(operands[0], [(0, 0), *operation.pads])


def broadcast(ops: Ops, operation: op.Broadcast, operands: Operands) -> Any:
    x, shape = operands[0], operation.shape
    lifted = _reshaped(ops, x, (*[1] * (len(shape) + 1 - len(x.shape)), *x.shape[1:]))
    return ops.broadcast_to(lifted, (lifted.shape[0], *shape))


def repeat(ops: Ops, operation: op.Repeat, operands: Operands) -> Any:
    return ops.repeat(operands[0], operation.times, operation.axis + 1)


def gather(ops: Ops, operation: op.Gather, operands: Operands) -> Any:
    return ops.take(operands[0], operation.indices, operation.axis + 1)


def scanned(ops: Ops, operation: op.Scan, operands: Operands, step: Callable[..., Sequence[Any]]) -> Any:
    """The results of all steps, stacked: the one loop of a `Scan`, unrolled.

    Args:
        ops: the array library.
        operation: the scan; its body is read by ``step`` alone.
        operands: the sequence, ``(batch, steps, ...)``, and the initial states.
        step: ``step(x_t, *states)`` gives ``(y_t, *states)``.
    """
    sequence, *states = operands
    order = range(operation.steps)[:: -1 if operation.reverse else 1]
    results = []
    for t in order:
        y, *states = step(sequence[:, t], *states)
        results.append(y)
    return ops.stack(results[:: -1 if operation.reverse else 1], 1)
