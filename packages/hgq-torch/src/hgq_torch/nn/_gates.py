"""What PyTorch's recurrent layers and their cells have in common: weights, activations and the step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from hgq_core.errors import ConfigError
from hgq_core.graph.ops import Relu
from hgq_core.layers import FrameworkFunction, GRUCell, LSTMCell, SimpleRNNCell
from hgq_core.scope import layer_option
from hgq_torch._slots import Layout, Turn
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_core.layers import Activation

__all__ = ["Gated", "Gru", "Lstm", "SimpleRnn", "stored"]

_STORED = {"kernel": "weight_ih", "recurrent_kernel": "weight_hh", "bias": "bias_ih", "recurrent_bias": "bias_hh"}
_ACTIVATIONS: Mapping[str, Activation] = {
    "hardtanh": None,
    "hardsigmoid": None,
    "relu": Relu(),
    "tanh": FrameworkFunction(torch.tanh),
    "sigmoid": FrameworkFunction(torch.sigmoid),
}


def stored(prefix: str = "", suffix: str = "") -> dict[str, Layout]:
    """Weights as PyTorch stores them, kernels transposed, by their slots."""
    return {
        prefix + slot: Layout(name + suffix, Turn.of((1, 0)) if slot.endswith("kernel") else None)
        for slot, name in _STORED.items()
    }


class Gated(QModule):
    """Abstract over the cell."""

    hidden_size: int
    use_bias: bool
    recurrent_dropout: float = 0.0

    def gated(self) -> dict[str, Any]:
        """What all cells take."""
        return {
            "units": self.hidden_size, "use_bias": self.use_bias, "recurrent_dropout": self.recurrent_dropout,
        }  # fmt: skip

    def reset_parameters(self) -> None:
        """Every weight uniform within ``1 / sqrt(hidden_size)``, as PyTorch's."""
        bound = 1 / math.sqrt(self.hidden_size)
        with torch.no_grad():
            for slot in self.made.weights:
                getattr(self, self.made.storage[slot].name).uniform_(-bound, bound)


class SimpleRnn(Gated):
    """The simple cell."""

    def read_cell(self, nonlinearity: str, enable_sq: bool | None) -> None:
        """Read the arguments of the step."""
        self._activation = _activation_of(nonlinearity, "nonlinearity", "hardtanh")
        self.enable_sq = bool(layer_option("enable_sq")) if enable_sq is None else bool(enable_sq)

    def cell(self) -> SimpleRNNCell:
        """One step."""
        return SimpleRNNCell(**self.gated(), activation=self._activation, enable_sq=self.enable_sq)


class _WithGates(Gated):
    """A cell with two activations."""

    def read_activations(self, activation: str, recurrent_activation: str) -> None:
        """Read the names of both."""
        self._activation = _activation_of(activation, "activation", "hardtanh")
        self._recurrent_activation = _activation_of(recurrent_activation, "recurrent_activation", "hardsigmoid")


class Gru(_WithGates):
    """The cell with an update and a reset gate, which stands first in PyTorch's weights."""

    reset_after: bool

    def cell(self) -> GRUCell:
        """One step."""
        return GRUCell(
            **self.gated(), activation=self._activation, recurrent_activation=self._recurrent_activation,
            reset_after=self.reset_after, reset_first=True,
        )  # fmt: skip


class Lstm(_WithGates):
    """The cell with a state beside the output."""

    def cell(self) -> LSTMCell:
        """One step."""
        return LSTMCell(**self.gated(), activation=self._activation, recurrent_activation=self._recurrent_activation)


def _activation_of(name: str, argument: str, limit: str) -> Activation:
    """An activation by its name; ``limit`` is the one that a quantizer is."""
    known = ("relu", "tanh", "sigmoid", limit)
    if name not in known:
        message = f"{argument}: received {name!r}, expected one of {known}"
        raise ConfigError(message)
    return _ACTIVATIONS[name]
