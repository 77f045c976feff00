"""Parameters as an optimizer takes them: widths apart from weights."""

from __future__ import annotations

import warnings
from math import isfinite
from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError, HGQWarning
from hgq_torch._lazy import not_begun
from hgq_torch._quantizer import Quantizer

if TYPE_CHECKING:
    from torch import nn

__all__ = ["parameter_groups"]


def parameter_groups(model: nn.Module, *, weight_decay: float = 0.0, **options: Any) -> list[dict[str, Any]]:
    """Two groups of parameters: the model's own, with weight decay, and the widths of its quantizers, without.

    An optimizer with weight decay, `torch.optim.AdamW` above all, takes ``lr * weight_decay * width`` off every width
    in every step: bits that beta did not ask for, and more of them the wider a number is. The regularisers of the
    specification and beta are what widths are priced by.

    Args:
        model: a model with quantized layers.
        weight_decay: of all parameters that are no widths.
        **options: what both groups get, e.g. ``lr``.

    A layer of your own that has not been built, and so has no parameters yet, is named in a warning.

    Raises:
        ConfigError: weight_decay is not finite, or negative.

    >>> import torch
    >>> from hgq_torch.nn import QLinear
    >>> model = QLinear(4, 2)
    >>> optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay=1e-2), lr=1e-3)
    >>> [group["weight_decay"] for group in optimizer.param_groups]
    [0.01, 0.0]
    """
    if not isfinite(weight_decay) or weight_decay < 0:
        message = f"weight_decay: received {weight_decay}, expected a finite factor of at least 0"
        raise ConfigError(message)
    missing = not_begun(model)
    if missing:
        message = (
            f"{', '.join(map(repr, missing))}: the parameters of a layer of one's own are made when the shapes of its "
            "data are known, so that an optimizer of these groups would not train them; call hgq_torch.build(model, "
            "example) first"
        )
        warnings.warn(message, HGQWarning, stacklevel=2)
    widths = {p for module in model.modules() if isinstance(module, Quantizer) for p in module.parameters()}
    every = list(model.parameters())
    groups = [([p for p in every if p not in widths], weight_decay), ([p for p in every if p in widths], 0.0)]
    return [{"params": params, **options, "weight_decay": decay} for params, decay in groups if params]
