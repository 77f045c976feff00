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

__all__ = ["EXACT", "differ", "ordered", "refuse_shapes", "typed"]

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


def ordered(
    title: str, declaration: Declaration, xs: Sequence[Tensor], named: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """The inputs in the order of the declaration.

    Raises:
        ConfigError: names that the declaration does not have.
    """
    names = list(inspect.signature(declaration).parameters)[1:]
    rest = names[len(xs) :]
    if set(named) != set(rest):
        message = f"{title}: received {len(xs)} tensor(s) and {sorted(named)}, its declaration takes {names}"
        raise ConfigError(message)
    return (*xs, *(named[name] for name in rest))


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
