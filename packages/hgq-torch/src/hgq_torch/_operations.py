"""How operations of PyTorch become nodes of the Graph: one function each, in the arguments of its operator.

A function, in `_moves` and `_arithmetic`, gets the recording and the operator's result first. It gives the name of the
node, a list of names for an operator with several results, or None where these arguments have no node: a batch that
does not stay on axis 0, above all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from hgq_core.graph import GraphBuilder
    from hgq_core.graph import ops as op

__all__ = ["SHAPE_ONLY", "VALUES", "Recording", "Table"]

SHAPE_ONLY = frozenset(
    [f"{verb}_like" for verb in ("empty", "zeros", "ones", "full", "rand", "randn")]
    + [f"new_{verb}" for verb in ("empty", "zeros", "ones", "full", "empty_strided")]
)
"""What reads the shape of a tensor alone."""
VALUES = frozenset({"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "_unique2", "masked_select"})
"""What takes the values of a tensor out of the run."""


class Table(dict[str, "Callable[..., str | list[str] | None]"]):
    """Functions by the name of their operator."""

    def node_of(self, *kinds: str) -> Callable[[Any], Any]:
        """Register the function for these operators."""

        def register(function: Any) -> Any:
            self.update(dict.fromkeys(kinds, function))
            return function

        return register


class Recording(ABC):
    """What the functions need of the recorder."""

    builder: GraphBuilder
    batch: int

    @abstractmethod
    def place(self, kind: str) -> str:
        """Where this happens, in the user's words."""

    @abstractmethod
    def name(self, x: Any) -> str:
        """The node of a tensor."""

    @abstractmethod
    def operand(self, x: Any, like: Tensor) -> str:
        """The node of a tensor, a constant or a number."""

    @abstractmethod
    def add(self, operation: op.Operation, *names: str) -> str:
        """Add a node."""
