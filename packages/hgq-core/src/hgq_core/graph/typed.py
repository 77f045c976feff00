"""Whether the fields of a node, an operation or a format hold what their declarations say; a file is data, not code."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from hgq_core.errors import GraphError
from hgq_core.graph.ir import Graph
from hgq_core.graph.ops import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_fields"]

_MOST = 2**31
"""No size, axis, count or number of bits of a graph is larger."""

_NAMES = {"np": np, "NDArray": NDArray, "Graph": Graph, "Operation": Operation}
"""What the declarations import for type checkers only."""


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind, localns=_NAMES)
    return {field.name: hints[field.name] for field in fields(kind) if field.init}


def check_fields(kind: type[Any], parts: Mapping[str, object]) -> None:
    """Compare values for the fields of a dataclass with its declaration.

    Args:
        kind: `Node`, `Graph`, `Formats` or an operation.
        parts: value by name of the field; fields with a default may be missing.

    Raises:
        GraphError: a field of another type, or a number that is NaN or beyond every use; names the field.

    >>> from hgq_core.graph.ir import Node
    >>> check_fields(Node, {"name": "x", "ebops_factor": [1]})
    Traceback (most recent call last):
    ...
    hgq_core.errors.GraphError: Node: ebops_factor is [1], expected float
    """
    hints = _hints(kind)  # type: ignore[arg-type]  # classes are hashable
    for name, value in parts.items():
        if name not in hints:
            message = f"{kind.__name__}: there is no field {name!r}, expected some of {list(hints)}"
            raise GraphError(message)
        if not _matches(value, hints[name]):
            shown = repr(value)
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            expected = getattr(hints[name], "__name__", str(hints[name]))
            message = f"{kind.__name__}: {name} is {shown}, expected {expected}"
            raise GraphError(message)


def _matches(value: object, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        return any(_matches(value, kind) for kind in arguments)
    if origin is Literal:
        return type(value) is str and value in arguments
    if origin is tuple:
        if type(value) is not tuple:
            return False
        if arguments[-1] is Ellipsis:
            return all(_matches(part, arguments[0]) for part in value)
        return len(value) == len(arguments) and all(map(_matches, value, arguments))
    if origin is np.ndarray:
        return isinstance(value, np.ndarray) and value.dtype == np.int64
    return _is_a(value, hint)


def _is_a(value: object, kind: type[Any]) -> bool:
    if kind is int:
        return type(value) is int and abs(value) <= _MOST
    if kind is float:
        return type(value) in (int, float) and isfinite(value)  # type: ignore[arg-type]  # a number by now
    if kind in (bool, str, NoneType) or issubclass(kind, Enum):
        return type(value) is kind
    return isinstance(value, kind)
