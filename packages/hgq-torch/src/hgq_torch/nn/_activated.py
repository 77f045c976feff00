"""Layers that may end in an activation which needs no table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from hgq_core.errors import ConfigError
from hgq_core.layers import NAMED, WITHOUT_NODES, Exact, limits, rectifier, unfit
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hgq_torch._make import QuantizerLike

__all__ = ["Activated", "ActivationLike", "exact_activation"]

ActivationLike = Any
"""None, a name, a function such as `torch.relu`, a module such as `torch.nn.LeakyReLU`, or `hgq_core.layers.Exact`."""

_FUNCTIONS: tuple[tuple[Callable[..., Any], str], ...] = (
    (torch.relu, "relu"),
    (nn.functional.relu, "relu"),
    (nn.functional.relu6, "relu6"),
    (nn.functional.hardtanh, "hardtanh"),
)
_MODULES: Mapping[type[nn.Module], Callable[[Any], Exact | None]] = {
    nn.Identity: lambda _: None,
    nn.ReLU: lambda _: NAMED["relu"],
    nn.ReLU6: lambda _: NAMED["relu6"],
    nn.Hardtanh: lambda given: limits(given.min_val, given.max_val),
    nn.LeakyReLU: lambda given: rectifier(given.negative_slope),
}
_EXPECTED = (
    f"None, one of {sorted(NAMED)}, torch.relu, a torch.nn.ReLU, ReLU6, Hardtanh, LeakyReLU or Threshold, or "
    "hgq_core.layers.rectifier(...)"
)


class Activated(QModule):
    """Abstract: a layer with a kernel, and an activation at its end that is exact without a table.

    Args:
        activation: see `exact_activation`.
        iq: see `QModule`, as the next ones.
        oq: quantizer of the output.
        enable_iq: whether the input is quantized.
        enable_oq: whether the output is.
        enable_ebops: whether the layer counts EBOPs.
        beta0: first value of ``beta``.
        quantizers: of the weights.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        ConfigError: another activation.
    """

    def __init__(
        self,
        activation: ActivationLike,
        *,
        iq: QuantizerLike,
        oq: QuantizerLike,
        enable_iq: bool | None,
        enable_oq: bool | None,
        enable_ebops: bool | None,
        beta0: float | None,
        quantizers: Mapping[str, QuantizerLike],
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(
            iq=iq,
            oq=oq,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            quantizers=quantizers,
            device=device,
            dtype=dtype,
        )
        self._activation = exact_activation(activation)

    @property
    def activation(self) -> str | Exact | None:
        """None, a name, or what `hgq_core.layers.rectifier` describes; it may be switched."""
        names = (
            name for name, known in reversed(list(NAMED.items())) if known is not None and known == self._activation
        )
        return next(names, self._activation)

    @activation.setter
    def activation(self, given: ActivationLike) -> None:
        self._activation = exact_activation(given)
        self.retrace()

    def __setattr__(self, name: str, value: Any) -> None:
        """As of every module; a module as the activation is read here, since PyTorch would keep it as a part."""
        if name == "activation":
            value = exact_activation(value)
        super().__setattr__(name, value)

    @property
    def declared_activation(self) -> Exact | None:
        """The activation as a declaration has it."""
        return self._activation


def exact_activation(given: ActivationLike) -> Exact | None:
    """An activation as a declaration has it; what it is given is not kept.

    Args:
        given: see `ActivationLike`.

    Raises:
        ConfigError: one that needs a table.

    >>> exact_activation(nn.LeakyReLU(0.25))
    Rectifier(slope=0.25, limit=None, threshold=0.0)
    """
    if given is None or isinstance(given, Exact):
        return given
    if isinstance(given, str) and given in NAMED:
        return NAMED[given]
    for function, name in _FUNCTIONS:
        if given is function:
            return NAMED[name]
    if type(given) is nn.LeakyReLU and (reason := unfit(given.negative_slope)):
        message = (
            f"activation: received {given}, which has no exact product in float32 where its {reason}; or put a table "
            "after the layer: QLUT(function)"
        )
        raise ConfigError(message)
    if type(given) is nn.Threshold and not given.value:
        return rectifier(threshold=given.threshold)
    if type(given) in _MODULES:
        return _MODULES[type(given)](given)
    name = given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__.lower())
    why = f", which has no exact hardware: {WITHOUT_NODES[name]}" if name in WITHOUT_NODES else ""
    quarter = "; a Quantizer with HardSigmoidConfig() is a hard sigmoid of slope 1/4" if why else ""
    message = (
        f"activation: received {given!r}{why}; expected {_EXPECTED}; put other activations after the layer, as a "
        f"table: QLUT(function){quarter}"
    )
    raise ConfigError(message)
