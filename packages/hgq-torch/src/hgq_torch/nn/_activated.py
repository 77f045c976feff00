"""Layers that may end in a ReLU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError
from hgq_core.graph.ops import Relu
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from hgq_torch._make import QuantizerLike

__all__ = ["Activated"]


class Activated(QModule):
    """Abstract: a layer with a kernel, and the activation None or ``"relu"`` at its end.

    Args:
        activation: None or ``"relu"``.
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
        activation: str | None,
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
        self._activation = _checked(activation)

    @property
    def activation(self) -> str | None:
        """None or ``"relu"``; it may be switched."""
        return self._activation

    @activation.setter
    def activation(self, name: str | None) -> None:
        self._activation = _checked(name)
        self.retrace()

    @property
    def declared_activation(self) -> Relu | None:
        """The activation as a declaration has it."""
        return Relu() if self._activation == "relu" else None


def _checked(name: Any) -> str | None:
    if name not in (None, "relu", "linear"):
        message = f"activation: received {name!r}, expected None or 'relu'; put other activations after the layer"
        raise ConfigError(message)
    return None if name == "linear" else str(name) if name else None
