"""Layers that combine several tensors element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    from hgq_core.graph.ops import Add, Maximum, Minimum, Multiply, Subtract
    from hgq_core.layers.program import Trace, Value

__all__ = ["Merge"]


@dataclass(frozen=True)
class Merge:
    """``y = operation(x_0, x_1, ...)``, broadcasting as NumPy.

    Attributes:
        operation: of the Graph.
    """

    operation: Add | Subtract | Multiply | Maximum | Minimum

    def __call__(self, t: Trace, *xs: Value) -> Value:
        if len(xs) < 2:
            message = f"received {len(xs)} tensor(s), expected a list of two or more"
            raise ConfigError(message)
        shapes = [t.shape(x) for x in xs]
        try:
            np.broadcast_shapes(*shapes)
        except ValueError as error:
            message = f"shapes {shapes} do not broadcast together"
            raise ShapeError(message) from error
        return t.op(self.operation, *xs)
