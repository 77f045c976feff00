"""Layers that compute nothing any more: found on request, never by a host synchronisation in a training step."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from hgq_core.errors import DeadLayerWarning
from hgq_core.health import cause_of_collapse, collapse_message
from hgq_torch._quantizer import Quantizer
from hgq_torch._slots import ModuleSlots
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from torch import Tensor, nn

__all__ = ["dead_layers", "uncalibrated", "warn_if_dead"]


def dead_layers(model: nn.Module) -> dict[str, str]:
    """The layers whose result no longer depends on their input, by path, each with the reason.

    >>> import torch
    >>> from hgq_torch.nn import QLinear
    >>> layer = QLinear(4, 2)
    >>> layer.kq.assign(b=0)
    >>> dead_layers(torch.nn.Sequential(layer))
    {'0': 'every quantized weight is 0'}
    """
    found: dict[str, str] = {}
    for name, module in model.named_modules():
        if isinstance(module, QModule):
            reason = _reason(module)
            if reason:
                found[name] = reason
    return found


def uncalibrated(model: nn.Module) -> list[str]:
    """The layers with a range that follows data and that is not as a calibration left it, by path.

    At inference such a range wraps what it does not hold. `calibrate` sets it; a step of training, or weights that are
    set otherwise, make the layer uncalibrated again.

    >>> import torch
    >>> from hgq_torch import calibrate, nn
    >>> model = torch.nn.Sequential(nn.QLinear(4, 3), nn.QLinear(3, 2))
    >>> uncalibrated(model)
    ['0', '1']
    >>> total = calibrate(model, torch.ones(1, 4))
    >>> uncalibrated(model)
    []
    """
    marked = [(path, q.is_calibrated(weights)) for path, q, weights in _owned(model)]
    return list(dict.fromkeys(path for path, calibrated in marked if not calibrated))


def mark_calibrated(model: nn.Module, seen: Container[Quantizer]) -> None:
    """Mark the quantizers that a calibration has shown data to, as `uncalibrated` looks at them."""
    for _, quantizer, weights in _owned(model):
        if quantizer in seen:
            quantizer.mark_calibrated(weights)


def _owned(model: nn.Module) -> Iterator[tuple[str, Quantizer, list[Tensor]]]:
    """Every quantizer with the path and the weights of its layer, or with its own path and none."""
    owners: dict[Quantizer, tuple[str, list[Tensor]]] = {}
    for name, module in model.named_modules():
        if isinstance(module, QModule):
            weights = module.own_weights()
            for attribute, q in module.own_quantizers().items():
                place = ".".join(part for part in (name, module.part_of(attribute)) if part)
                owners.setdefault(q, (place, weights))
    for name, module in model.named_modules():
        if isinstance(module, Quantizer):
            owner, weights = owners.get(module, (name, []))
            yield owner, module, weights


def _reason(module: QModule) -> str:
    return "" if module.program is None else cause_of_collapse(module.program, ModuleSlots(module))


def warn_if_dead(model: nn.Module) -> dict[str, str]:
    """Give a `DeadLayerWarning` for every dead layer, once an epoch; returns `dead_layers`. `calibrate` does it too."""
    dead = dead_layers(model)
    for name, cause in dead.items():
        warnings.warn(collapse_message(name or type(model).__name__, cause), DeadLayerWarning, stacklevel=2)
    return dead
