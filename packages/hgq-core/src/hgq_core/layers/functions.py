"""Functions of one number that tables hold; each is called with the verbs of an array library and a tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from hgq_core.ops import Ops

__all__ = ["Exponential", "FrameworkFunction", "Reciprocal", "ReciprocalRoot"]


@dataclass(frozen=True)
class FrameworkFunction:
    """A function of the framework that trains the layer.

    Attributes:
        function: of one tensor.
    """

    function: Callable[[Any], Any]

    def __call__(self, ops: Ops, x: Any) -> Any:  # noqa: ARG002 (every function of a table is called so)
        return self.function(x)


@dataclass(frozen=True)
class Exponential:
    """``exp(factor * x)``."""

    factor: float = 1.0

    def __call__(self, ops: Ops, x: Any) -> Any:
        return ops.exp(x if self.factor == 1.0 else x * self.factor)


@dataclass(frozen=True)
class Reciprocal:
    """``1 / (x + epsilon)``, finite at 0."""

    epsilon: float = 1e-7

    def __call__(self, ops: Ops, x: Any) -> Any:  # noqa: ARG002 (every function of a table is called so)
        return 1.0 / (x + self.epsilon)


@dataclass(frozen=True)
class ReciprocalRoot:
    """``1 / sqrt(factor * x + epsilon)``."""

    factor: float
    epsilon: float

    def __call__(self, ops: Ops, x: Any) -> Any:
        return ops.rsqrt(x * self.factor + self.epsilon)
