"""Operators and ``keras.ops`` on the tensors of a functional model, as nodes of the Graph; they cost no EBOPs.

Keras keeps each of them as an operation without weights: ``x[:, 1:3]`` is a GetItem, ``x + 2.0`` an Add. Its class is
no public name, so it is known by its class name, its configuration and the arguments of its call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from hgq_core.errors import UnsupportedError
from hgq_core.graph import ops as op
from hgq_core.layers import NAMED
from hgq_core.numbers import short
from hgq_keras._arithmetic import absolute, averaged, exact_activation, limited, pooled, rectified, shown, without_batch
from hgq_keras._contractions import emit_contraction
from hgq_keras._moves import emit_moves
from hgq_keras._operands import constant_operand
from hgq_keras._remedies import refused_operation
from hgq_keras._topology import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hgq_core.graph.emit import Emitter
    from hgq_keras._topology import Call, Key

__all__ = ["emit_operation"]

# fmt: off
_MOVES = frozenset((
    "ArraySplit", "BroadcastTo", "Concatenate", "Diagonal", "ExpandDims", "Flip", "GetItem", "Hstack", "Moveaxis",
    "Pad", "Ravel", "Repeat", "Reshape", "Roll", "Rot90", "Slice", "Split", "Squeeze", "Stack", "Swapaxes", "Take",
    "Tile", "Transpose", "Tril", "Triu", "Unstack", "Vstack",
))
# fmt: on
_ELEMENTWISE: dict[str, op.Operation] = {
    "Add": op.Add(),
    "Subtract": op.Subtract(),
    "Multiply": op.Multiply(),
    "Maximum": op.Maximum(),
    "Minimum": op.Minimum(),
    "Less": op.Compare("<"),
    "LessEqual": op.Compare("<="),
    "Equal": op.Compare("=="),
    "GreaterEqual": op.Compare(">="),
    "Greater": op.Compare(">"),
    "Where": op.Select(),
}
_DIVISIONS = ("Divide", "TrueDivide")
_REDUCTIONS: dict[str, Any] = {"Sum": "sum", "Max": "max", "Amax": "max", "Min": "min", "Amin": "min"}
_AVERAGES = ("Mean", "Average")
_CONTRACTIONS = ("Dot", "Einsum", "Matmul", "Tensordot")
_POOLS: dict[str, Any] = {"MaxPool": "max", "AveragePool": "sum"}


def emit_operation(call: Call, values: Mapping[Key, str], emitter: Emitter) -> list[str]:
    """Append one call of an operation; returns the edge of each of its results.

    Raises:
        UnsupportedError: an operation without exact hardware; it names the operation and the remedy.
    """
    kind, operation = type(call.layer).__name__, call.layer
    if not type(operation).__module__.startswith("keras."):
        message = (
            f"layer {emitter.label!r} ({kind}) is an operation of your own; build it of keras.ops, or write a "
            "quantized layer with the hooks of QLayer"
        )
        raise UnsupportedError(message)
    if kind in _MOVES:
        return _moved(call, values, emitter)
    step = _Step(call, values, emitter)
    if kind not in ("Where", "Cast") and any(tensor.dtype == "bool" for tensor in step.tensors):
        message = (
            f"layer {emitter.label!r} ({kind}) computes with truth values; choose with keras.ops.where, or make them "
            "numbers with keras.ops.cast"
        )
        raise UnsupportedError(message)
    if kind in _ELEMENTWISE:
        return [step.elementwise(_ELEMENTWISE[kind])]
    if kind in _DIVISIONS:
        return [step.divided()]
    if kind in _CONTRACTIONS:
        return [emit_contraction(kind, operation, step.operands(2), emitter)]
    if kind in _UNARY:
        return [_UNARY[kind](step, emitter)]
    if kind in _REDUCTIONS and operation.get_config().get("initial") is None:
        return [emitter.add(op.Reduce(_REDUCTIONS[kind], *step.axes()), step.data())]
    if kind in _AVERAGES and call.kwargs.get("weights") is None and len(call.args) == 1:
        return [averaged(step.data(), *step.axes(), emitter)]
    if kind in _POOLS:
        config = operation.get_config()
        return [pooled(_POOLS[kind], step.data(), config, emitter)]
    raise UnsupportedError(refused_operation(kind, emitter.label))


def _moved(call: Call, values: Mapping[Key, str], emitter: Emitter) -> list[str]:
    """Numbers that only change their place."""
    tensors = [item for item in keras.tree.flatten([call.args, call.kwargs]) if isinstance(item, Tensor)]
    rows = next((tensor.shape[0] for tensor in tensors if tensor.shape), None)

    def move(operands: list[Any]) -> list[Any]:
        feed = iter(operands)
        args, kwargs = keras.tree.map_structure(
            lambda item: next(feed) if isinstance(item, Tensor) else item, [list(call.args), call.kwargs]
        )
        if type(call.layer).__name__ == "GetItem":  # a model's configuration holds tuples as lists
            args = [args[0], tuple(args[1]) if isinstance(args[1], list) else args[1]]
        results = call.layer(*args, **kwargs)
        return list(results) if isinstance(results, list | tuple) else [results]

    return emit_moves(move, [values[tensor.key] for tensor in tensors], emitter, rows)


def _relu(step: _Step, emitter: Emitter) -> str:
    slope, threshold = step.config.get("negative_slope", 0.0), step.config.get("threshold", 0.0)
    return rectified(step.data(), slope, step.config.get("max_value"), threshold, emitter)


def _cast(step: _Step, emitter: Emitter) -> str:
    """To a type that holds every number of the one before."""
    (tensor,), target = step.tensors, step.config["dtype"]
    if target not in ("float32", "float64") or (tensor.dtype, target) == ("float64", "float32"):
        message = (
            f"layer {emitter.label!r} casts {tensor.dtype} to {target}, which rounds; round with a Quantizer, which "
            "says how, and leave the type as it is"
        )
        raise UnsupportedError(message)
    return step.data()


_UNARY: dict[str, Callable[[_Step, Emitter], str]] = {
    "Negative": lambda step, emitter: emitter.add(op.Negate(), step.data()),
    "Absolute": lambda step, emitter: absolute(step.data(), emitter),
    "Abs": lambda step, emitter: absolute(step.data(), emitter),
    "Square": lambda step, emitter: emitter.add(op.Multiply(), step.data(), step.data()),
    "Relu": _relu,
    "ReLU": _relu,
    "LeakyRelu": _relu,
    "Relu6": lambda step, emitter: exact_activation(NAMED["relu6"], step.data(), emitter),
    "HardTanh": lambda step, emitter: exact_activation(NAMED["hard_tanh"], step.data(), emitter),
    "Clip": lambda step, emitter: limited(step.data(), step.config["x_min"], step.config["x_max"], emitter),
    "Cast": _cast,
    "StopGradient": lambda step, _: step.data(),
    "Identity": lambda step, _: step.data(),
}


class _Step:
    """The arguments of one call as edges and constants."""

    def __init__(self, call: Call, values: Mapping[Key, str], emitter: Emitter) -> None:
        self.config: dict[str, Any] = call.layer.get_config()
        self._call, self._values, self._emitter = call, values, emitter
        given = [*call.args, *call.kwargs.values()]
        self._given = given[0] if len(given) == 1 and isinstance(given[0], list) else given
        self.tensors = [x for x in self._given if isinstance(x, Tensor)]

    def data(self) -> str:
        """The one tensor."""
        (name,) = self.operands(1)
        if not isinstance(name, str):
            raise UnsupportedError(refused_operation(type(self._call.layer).__name__, self._emitter.label))
        return name

    def operands(self, number: int) -> list[Any]:
        """Edges of tensors, and arrays for what is constant."""
        if len(self._given) < number:
            raise UnsupportedError(refused_operation(type(self._call.layer).__name__, self._emitter.label))
        return [self._values[x.key] if isinstance(x, Tensor) else np.asarray(x) for x in self._given[:number]]

    def axes(self) -> tuple[tuple[int, ...], bool]:
        """The axes of a reduction without the batch axis, and whether they are kept."""
        rank = len(self._emitter.shape(self.data())) + 1
        return without_batch(self.config["axis"], rank, self._emitter.label), bool(self.config.get("keepdims"))

    def elementwise(self, operation: op.Operation) -> str:
        """Operands that broadcast as in NumPy, of which some may be constant."""
        tensors = self.tensors
        ranks = {len(x.shape) for x in tensors}
        dtype = next((x.dtype for x in tensors if x.dtype != "bool"), "float32")
        if len(ranks) > 1:
            message = (
                f"layer {self._emitter.label!r} combines tensors of shapes {[x.shape for x in tensors]}, whose batch "
                "axes do not meet; give both the same number of axes with keras.ops.expand_dims"
            )
            raise UnsupportedError(message)
        names = [
            self._values[x.key] if isinstance(x, Tensor) else constant_operand(x, max(ranks), dtype, self._emitter)
            for x in self._given
        ]
        return self._emitter.add(operation, *names)

    def divided(self) -> str:
        """A division by powers of two is a product."""
        x, divisor = self._given[:2]
        if isinstance(x, Tensor) and not isinstance(divisor, Tensor):
            numbers = np.asarray(divisor, np.float64)
            if np.all(np.frexp(np.abs(numbers))[0] == 0.5):
                factor = constant_operand(1.0 / numbers, len(x.shape), x.dtype, self._emitter)
                return self._emitter.add(op.Multiply(), self._values[x.key], factor)
            message = (
                f"layer {self._emitter.label!r} divides by {shown(numbers)}, and the quotient would round; divide by a "
                f"power of two, or multiply by a constant of few bits, such as x * {shown(short(1.0 / numbers))}"
            )
            raise UnsupportedError(message)
        message = (
            f"layer {self._emitter.label!r} divides by a tensor, which has no exact hardware here; multiply by the "
            "result of QUnaryFunctionLUT(f) instead, with a function f of yours that is finite at 0 too"
        )
        raise UnsupportedError(message)
