"""What the Graph knows of one kind of node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.graph.ops import Shape
    from hgq_core.ops import Ops

__all__ = ["Kind", "Operand"]


@dataclass(frozen=True, slots=True)
class Operand:
    """What a rule of cost needs to know of an operand besides its widths.

    Attributes:
        shape: without the batch axis.
        constant: it has no batch axis at all.
    """

    shape: Shape
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of `KINDS`. Every rule takes the operation, and all but ``shape`` and ``real`` run on any `Ops`.

    Attributes:
        arity: fewest and most operands.
        broadcasts: data and constants broadcast together, element by element; of constants alone the result is one.
        shape: ``(op, shapes, constant)``: shape of the result without the batch axis, from those of the operands and
            whether each is constant; raises GraphError or ShapeError for operands that do not fit.
        evaluate: ``(ops, op, operands)``: the result for numbers, exact integers, intervals, hardware symbols or the
            tensors of a framework; data has a leading batch axis, constants have none.
        cost: ``(ops, op, bits, operands, shape)``: EBOPs, from the counted widths of the operands, ``(1, *shape)`` for
            data or broadcastable to it, and None where no quantizer has set them; 0.0 where it costs nothing.
        counted: ``(ops, op, bits, operands, shape)``: counted widths of the result, ``(1, *shape)`` for data, or None
            where no quantizer has set them.
        real: ``(op)``: whether it may act on real numbers, because it moves, selects or negates them, exactly in any
            arithmetic.
    """

    arity: tuple[int, float]
    broadcasts: bool
    shape: Callable[[Any, Sequence[Shape], Sequence[bool]], Shape]
    evaluate: Callable[[Ops, Any, Sequence[Any]], Any]
    cost: Callable[[Ops, Any, Sequence[Any], Sequence[Operand], Shape], Any]
    counted: Callable[[Ops, Any, Sequence[Any], Sequence[Operand], Shape], Any]
    real: Callable[[Any], bool]
