"""EBOPs of a whole model: the number, and the term of the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hgq_core.errors import ConfigError
from hgq_core.layers import Bits, output_bits
from hgq_core.numbers import not_negative
from hgq_core.ops import NUMPY
from hgq_torch._calls import calls_of
from hgq_torch._quantizer import Quantizer
from hgq_torch._slots import ModuleSlots
from hgq_torch.kernels.cost import dense_costs
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

__all__ = ["ebops", "ebops_by_layer", "ebops_loss", "set_beta"]


def ebops_by_layer(model: nn.Module) -> dict[str, float]:
    """EBOPs of each quantized layer by its path, in order; a layer costs as often as the forward pass applies it.

    >>> from hgq_torch.nn import QLinear
    >>> ebops_by_layer(torch.nn.Sequential(QLinear(4, 2), torch.nn.ReLU()))
    {'0': 528.0}
    """
    with torch.no_grad():
        layers = {name: m for name, m in model.named_modules() if isinstance(m, QModule)}
        calls = calls_of(model, list(layers.values()))
        return {name: n * _counted(m) if n else 0.0 for (name, m), n in zip(layers.items(), calls, strict=True)}


class _Arrays:
    """The widths of a layer as arrays of float64, in which a sum is exact where one in float32 is not."""

    def __init__(self, layer: QModule) -> None:
        self.layer = layer

    def bits(self, slot: str) -> NDArray[np.float64] | None:
        """Widths that EBOPs counts."""
        return ModuleSlots(self.layer).counted(slot)

    def full_width(self, slot: str) -> NDArray[np.float64] | None:
        """Widths with their sign."""
        return ModuleSlots(self.layer).counted_with_sign(slot)

    def nested_bits(self, name: str, layer: QModule, args: Sequence[Any]) -> Any:  # noqa: ARG002
        """Widths of the output of a module inside."""
        inner = self.layer.inner_module(name)
        return output_bits(NUMPY, _Arrays(inner), inner.checked_program(), args)


def _counted(layer: QModule) -> float:
    """EBOPs of one call of a layer, without those of layers inside."""
    program = layer.checked_program()
    return float(Bits(NUMPY, _Arrays(layer)).count(program)) if layer.enable_ebops else 0.0


def ebops(model: nn.Module) -> float:
    """Effective bit operations of the model as its widths stand now; needs no training step.

    A layer that the forward pass applies twice is two circuits, and counts twice, as in the loss, in calibration and in
    the graph. The number of calls is that of the last `hgq_torch.calibrate` or `hgq_torch.to_graph`; before these, that
    which `torch.fx` sees.

    >>> from hgq_torch.nn import QLinear
    >>> ebops(QLinear(4, 2))
    528.0
    """
    return sum(ebops_by_layer(model).values())


def ebops_loss(model: nn.Module) -> Tensor:
    """``sum over layers of beta * EBOPs``, plus the regularisers of all widths: a term for the loss, shape ``()``.

    It reads the widths as they are: call it after the forward pass, in the order of ``criterion(model(x), y) +
    ebops_loss(model)``. A model without quantized layers gives 0. No host synchronisation.

    >>> from hgq_torch.nn import QLinear
    >>> loss = ebops_loss(QLinear(4, 2, beta0=1e-3))
    >>> loss.requires_grad, round(loss.item(), 3)
    (True, 0.528)
    """
    layers: list[QModule] = []
    quantizers: list[Quantizer] = []
    for module in model.modules():
        if isinstance(module, QModule):
            layers.append(module)
        elif isinstance(module, Quantizer):
            quantizers.append(module)
    terms: list[Tensor | None] = []
    covered: set[nn.Module] = set()
    calls = dict(zip(layers, calls_of(model, layers), strict=True))
    if not torch.compiler.is_compiling():
        costs, dense, widths = dense_costs(calls)
        terms += costs
        covered.update(dense, widths)
    for layer in layers:
        if layer.enable_ebops and layer not in covered:
            terms.append(layer.beta * layer.ebops() * calls[layer])
    terms += [quantizer.regularization() for quantizer in quantizers if quantizer not in covered]
    given = [term for term in terms if term is not None]
    return sum(given[1:], given[0]) if given else torch.zeros(())


def set_beta(model: nn.Module, beta: float) -> None:
    """Set the factor of EBOPs in the loss for every layer of the model, as a schedule does each epoch.

    Raises:
        ConfigError: beta is not finite, or negative, or the model has no quantized layer.
    """
    beta = not_negative(beta, "beta")
    layers = [module for module in model.modules() if isinstance(module, QModule)]
    if not layers:
        message = f"{type(model).__name__} has no quantized layer; build it from hgq_torch.nn"
        raise ConfigError(message)
    for layer in layers:
        layer.beta.fill_(beta)
