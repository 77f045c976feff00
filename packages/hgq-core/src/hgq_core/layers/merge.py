"""Layers that combine several tensors: element by element, by a contraction, or side by side."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_letters
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Add, Concatenate, Multiply, Reshape, Subtract
from hgq_core.layers.reduce import nearest_power_of_two
from hgq_core.linear import Contract

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.graph.ops import Maximum, Minimum, Shape
    from hgq_core.layers.program import Value
    from hgq_core.layers.tracing import Trace

__all__ = ["Average", "Contraction", "Dot", "Joined", "Matmul", "Merge", "check_equation"]


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
        equation: as that of `Contract`, the batch axis first in all terms; ``...`` stands for the same axes in each.
    """

    equation: str

    def __call__(self, t: Trace, *xs: Value) -> Value:
        operation = Contract(_explicit(self.equation, [len(t.shape(x)) + 1 for x in xs]))
        several(xs, 2)
        first, second, output = operation.terms
        if not output or not first[:1] == second[:1] == output[:1]:
            message = (
                f"einsum equation {self.equation!r}: expected the batch axis as the first letter of both operands and "
                "of the output, because each row of a batch is computed alone, such as 'bij,bjk->bik'"
            )
            raise ShapeError(message)
        return t.op(operation, *xs)


def check_equation(equation: Any, argument: str = "equation") -> str:
    """The equation; raises ConfigError for anything else than a string.

    >>> check_equation("bi,bj->bij")
    'bi,bj->bij'
    """
    if not isinstance(equation, str):
        message = f"{argument}: received {equation!r}, expected a string such as 'bij,bjk->bik'"
        raise ConfigError(message)
    return equation


def _explicit(equation: str, ranks: Sequence[int]) -> str:
    """The equation without spaces, and with letters in place of the ellipsis, for operands of these ranks."""
    equation = equation.replace(" ", "")
    if "..." not in equation:
        return equation
    terms = equation.partition("->")[0].split(",")
    elided = {rank - len(term) + 3 for term, rank in zip(terms, ranks, strict=False) if term.count("...") == 1}
    if len(elided) != 1 or min(elided) < 0:
        message = (
            f"einsum equation {equation!r}: received operands of {list(ranks)} axes, expected as many axes for '...' "
            "in each operand; name the axes where they differ"
        )
        raise ShapeError(message)
    unused = [letter for letter in ascii_letters if letter not in equation]
    return equation.replace("...", "".join(unused[: elided.pop()]))


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
        first, second = shapes
        if rank < 2 or first[:-2] != second[:-2] or first[-1:] != second[-2:-1]:
            message = (
                f"received {shapes} behind the batch axis, expected (..., n, m) and (..., m, k) with the same axes in "
                "place of the dots; QEinsum takes others"
            )
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
        axis = self.axis % rank
        rest = {(*shape[:axis], None, *shape[axis + 1 :]) for shape in shapes}
        if len(rest) > 1 or {len(shape) for shape in shapes} != {rank}:
            message = f"shapes {shapes} (batch axis left out) differ in another axis than the one to join along"
            raise ShapeError(message)
        return t.op(Concatenate(axis), *xs)


def several(xs: tuple[Value, ...], number: int | None = None) -> None:
    """Raise ConfigError unless there are as many tensors, or two and more."""
    if len(xs) < 2 or number not in (None, len(xs)):
        expected = "a list of two or more" if number is None else "a list of two"
        message = f"received {len(xs)} tensor(s), expected {expected}"
        raise ConfigError(message)
