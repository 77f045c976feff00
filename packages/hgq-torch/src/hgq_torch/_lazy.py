"""Modules that learn the shapes of their data: `build` shows them an example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hgq_core.errors import ConfigError, ShapeError
from hgq_torch._quantizer import Quantizer
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

__all__ = ["build", "check_begun", "not_begun", "unbuilt", "waits_for_data"]


def build(model: nn.Module, example: Tensor | Sequence[Tensor]) -> None:
    """Tell every quantized layer of a model the shapes of its data, from an example.

    Constructors of PyTorch do not know the sizes of images and sequences. What depends on them, the widths of data
    above all, is made by the first forward pass or by this function; kernels, biases and their widths exist before, and
    widths that get their shape here stay the same parameters, so that an optimizer may be made before or after. Nothing
    else changes.

    Args:
        model: a module of quantized layers.
        example: one input ``(batch, ...)``, or several in their order.

    Raises:
        ShapeError: the model does not take the example.

    >>> from hgq_torch.nn import QConv2d
    >>> layer = QConv2d(3, 8, 3)
    >>> build(layer, torch.zeros(1, 3, 6, 6))
    >>> layer.built_for
    ((3, 6, 6),)
    """
    examples = (example,) if isinstance(example, Tensor) else tuple(example)
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            model(*examples)
    except (RuntimeError, TypeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        shapes = ", ".join(str(tuple(x.shape)) for x in examples)
        message = f"the model does not take the example, as {shapes}: {error}"
        raise ShapeError(message) from error
    finally:
        for module in model.modules():
            module.training = training.get(module, training[model])


def unbuilt(model: nn.Module) -> dict[str, QModule]:
    """The quantized layers that do not know the shapes of their data yet, by path."""
    found: dict[str, Any] = {name: module for name, module in model.named_modules() if isinstance(module, QModule)}
    return {name: module for name, module in found.items() if module.built_for is None}


def waits_for_data(model: nn.Module) -> bool:
    """Whether a layer, or a quantizer that stands alone, does not know the shape of its data yet."""
    inside: set[nn.Module] = set()
    for module in model.modules():
        if isinstance(module, QModule):
            inside.update(module.modules())
    alone = (module for module in model.modules() if isinstance(module, Quantizer) and module not in inside)
    return bool(unbuilt(model)) or not all(quantizer.built for quantizer in alone)


def not_begun(model: nn.Module) -> list[str]:
    """Paths of those that have no parameters yet either: layers of a user's own before their first forward pass."""
    return [name or type(module).__name__ for name, module in unbuilt(model).items() if module.made.traced is None]


def check_begun(model: nn.Module, what: str) -> None:
    """Raise ConfigError where layers of a user's own have no quantizers yet that ``what`` is about."""
    missing = not_begun(model)
    if missing:
        message = (
            f"{what}: {', '.join(map(repr, missing))} has no quantizers before the shapes of its data are known; call "
            "hgq_torch.build(model, example) first"
        )
        raise ConfigError(message)
