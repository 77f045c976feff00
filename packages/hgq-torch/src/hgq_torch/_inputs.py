"""The inputs of a layer: their shapes, their types, and the order of those that have names."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import torch

from hgq_core.errors import ConfigError, DataError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from torch import Tensor

    from hgq_core.graph.ops import Shape
    from hgq_core.layers import Declaration

__all__ = ["EXACT", "differ", "input_names", "ordered", "refuse_shapes", "typed"]

EXACT = (torch.float32, torch.float64)
"""Types in which sums of products are exact."""


def differ(xs: Sequence[Tensor], shapes: Sequence[Shape]) -> bool:
    """Whether an input has another shape than the layer is built for."""
    return any(x.shape[1:] != shape for x, shape in zip(xs, shapes, strict=True))


def refuse_shapes(title: str, xs: Sequence[Tensor], shapes: Sequence[Shape], hint: str) -> NoReturn:
    """Raise ShapeError: these are not the shapes that the layer is built for."""
    received = ", ".join(str(tuple(x.shape)) for x in xs)
    expected = ", ".join(f"(batch, {', '.join(map(str, shape))})" for shape in shapes)
    message = f"{title}: received {received}, expected {expected}{hint}"
    raise ShapeError(message)


def input_names(declaration: Declaration) -> list[str]:
    """Names of the inputs of a declaration, in order; those of ``*xs`` have none."""
    parameters = list(inspect.signature(declaration).parameters.values())[1:]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in kinds]


def ordered(
    title: str, declaration: Declaration, xs: Sequence[Tensor | None], named: Mapping[str, Tensor | None]
) -> tuple[Tensor, ...]:
    """The inputs in the order of the declaration; what is None, or not given, at the end is left out.

    Raises:
        ConfigError: names that the declaration does not have, or an input that is missing before another one.
    """
    names = input_names(declaration)
    rest = names[len(xs) :]
    found = [*xs, *(named.get(name) for name in rest)]
    while found and found[-1] is None:
        found.pop()
    given = tuple(x for x in found if x is not None)
    if not set(named) <= set(rest) or not given or len(given) < len(found):
        message = f"{title}: received {len(xs)} tensor(s) and {sorted(named)}, its declaration takes {names}"
        raise ConfigError(message)
    return given


def typed(title: str, xs: Sequence[Tensor], own: torch.dtype) -> tuple[Tensor, ...]:
    """The inputs in the type of the weights.

    Raises:
        ConfigError: the weights are in low precision.
        DataError: an input has a wider type.
    """
    if own not in EXACT:
        message = (
            f"{title}: its weights are {own}, in which sums of products are not exact; expected torch.float32 or "
            "torch.float64: call .float() on the model, and use torch.autocast for the layers around it"
        )
        raise ConfigError(message)
    for x in xs:
        if torch.promote_types(x.dtype, own) != own:
            message = f"{title}: received {x.dtype}, its weights are {own}; convert the data, x.to({own}), or the model"
            raise DataError(message)
    return tuple(x.to(own) for x in xs)
