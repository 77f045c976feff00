"""Layers that combine several tensors: element by element, by a contraction, or side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Add, Concatenate, Multiply, Reshape, Subtract
from hgq_core.layers.reduce import nearest_power_of_two
from hgq_core.linear import Contract

if TYPE_CHECKING:
    from hgq_core.graph.ops import Maximum, Minimum, Shape
    from hgq_core.layers.program import Trace, Value

__all__ = ["Average", "Contraction", "Dot", "Joined", "Matmul", "Merge"]


@dataclass(frozen=True)
class Merge:
    """``y = operation(x_0, x_1, ...)``, broadcasting as NumPy.

    Attributes:
        operation: of the Graph.
    """

    operation: Add | Subtract | Multiply | Maximum | Minimum

    def __call__(self, t: Trace, *xs: Value) -> Value:
        several(xs, 2 if isinstance(self.operation, Subtract) else None)
        shapes = [t.shape(x) for x in xs]
        try:
            np.broadcast_shapes(*shapes)
        except ValueError as error:
            message = f"shapes {shapes} do not broadcast together"
            raise ShapeError(message) from error
        return t.op(self.operation, *xs)


@dataclass(frozen=True)
class Average:
    """``y = (x_0 + x_1 + ...) * 2**round(log2(1 / n))`` of n tensors: their mean, where n is a power of two."""

    def __call__(self, t: Trace, *xs: Value) -> Value:
        total = Merge(Add())(t, *xs)
        return t.op(Multiply(), total, t.constant(nearest_power_of_two(1 / len(xs)), name="scale"), share=0.0)


@dataclass(frozen=True)
class Contraction:
    """``y = einsum(equation, x_0, x_1)`` of two tensors of data; EBOPs are the same contraction of their bits.

    Attributes:
        equation: as that of `Contract`, the batch axis first in all terms.
    """

    equation: str

    def __call__(self, t: Trace, *xs: Value) -> Value:
        several(xs, 2)
        operation = Contract(self.equation.replace(" ", ""))
        operation.check_batch(constant=(False, False))
        return t.op(operation, *xs)


@dataclass(frozen=True)
class Dot:
    """The dot products of two tensors along one axis each; all other axes of the first, then of the second.

    Of two vectors it has the shape ``(1,)``, as that of Keras.

    Attributes:
        axes: one axis of each tensor, the batch axis left out; negative ones count from the end.
    """

    axes: tuple[int, int]

    def __call__(self, t: Trace, *xs: Value) -> Value:
        several(xs, 2)
        y = Contraction(self.equation(t.shape(xs[0]), t.shape(xs[1])))(t, *xs)
        return y if t.shape(y) else t.op(Reshape((1,)), y)

    def equation(self, *shapes: Shape) -> str:
        """The equation for tensors of these shapes, batch axes left out."""
        found = []
        for axis, shape in zip(self.axes, shapes, strict=True):
            if not -len(shape) <= axis < len(shape):
                message = f"axes: received {self.axes}, expected one axis of each of {shapes} (batch axes left out)"
                raise ConfigError(message)
            found.append(axis % len(shape))
        if shapes[0][found[0]] != shapes[1][found[1]]:
            message = f"axes {self.axes} of {shapes} (batch axes left out) have different sizes; expected the same"
            raise ShapeError(message)
        letters = iter("acdefghijklmnop")
        terms = [[next(letters) for _ in shape] for shape in shapes]
        terms[1][found[1]] = terms[0][found[0]]
        kept = [c for term, axis in zip(terms, found, strict=True) for n, c in enumerate(term) if n != axis]
        first, second = ("".join(term) for term in terms)
        return f"b{first},b{second}->b{''.join(kept)}"


@dataclass(frozen=True)
class Matmul:
    """The product of two stacks of matrices, ``(..., n, m)`` and ``(..., m, k)`` behind the batch axis."""

    def __call__(self, t: Trace, *xs: Value) -> Value:
        several(xs, 2)
        shapes = [t.shape(x) for x in xs]
        rank = len(shapes[0])
        if rank < 2 or len(shapes[1]) != rank:
            message = f"received {shapes} behind the batch axis, expected (..., n, m) and (..., m, k) of equal rank"
            raise ShapeError(message)
        stack = "bcdefgh"[: rank - 1]
        return Contraction(f"{stack}nm,{stack}mk->{stack}nk")(t, *xs)


@dataclass(frozen=True)
class Joined:
    """The tensors one behind the other along an axis.

    Attributes:
        axis: along which, the batch axis left out; negative ones count from the end.
    """

    axis: int = -1

    def __call__(self, t: Trace, *xs: Value) -> Value:
        several(xs)
        shapes = [t.shape(x) for x in xs]
        rank = len(shapes[0])
        if not -rank <= self.axis < rank:
            message = f"axis: received {self.axis}, expected an axis of {shapes[0]} (batch axis left out)"
            raise ConfigError(message)
        return t.op(Concatenate(self.axis % rank), *xs)


def several(xs: tuple[Value, ...], number: int | None = None) -> None:
    """Raise ConfigError unless there are as many tensors, or two and more."""
    if len(xs) < 2 or number not in (None, len(xs)):
        expected = "a list of two or more" if number is None else f"a list of {number}"
        message = f"received {len(xs)} tensor(s), expected {expected}"
        raise ConfigError(message)
