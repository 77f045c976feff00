"""What recurrent layers and their cells have in common: kernels, biases, activations and their quantizers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.layers import GRUCell, LSTMCell, SimpleRNNCell
from hgq_core.numbers import checked
from hgq_core.scope import layer_option
from hgq_keras._checks import positive_integer
from hgq_keras.config import configured
from hgq_keras.layers._base import QLayer
from hgq_keras.layers._kernel import declared_activation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_keras.config import QuantizerConfig

__all__ = ["ForgetGate", "Gated", "Gru", "Lstm", "SimpleRnn"]

_PLACES = {"kq": "weight", "rkq": "weight", "rckq": "weight", "bq": "bias", "rbq": "bias"}
_OTHERWISE = {"rckq_conf": "rkq_conf", "rbq_conf": "bq_conf"}
"""Quantizers that are those of another argument, if nothing is said of them."""


@keras.saving.register_keras_serializable(package="hgq_keras")
class ForgetGate(keras.initializers.Initializer):
    """A bias of four gates with ones at the second, which keeps the state of an untrained layer.

    Args:
        others: initializer of the other gates.

    >>> keras.ops.convert_to_numpy(ForgetGate("zeros")((8,))).tolist()
    [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """

    def __init__(self, others: Any) -> None:
        self.others = keras.initializers.get(others)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """A tensor of this shape and type."""
        size = shape[0] // 4
        parts = [self.others((size,), dtype), keras.ops.ones((size,), dtype), self.others((2 * size,), dtype)]
        return keras.ops.concatenate(parts)

    def get_config(self) -> dict[str, Any]:
        """Keyword arguments that make an equal initialiser."""
        return {"others": keras.initializers.serialize(self.others)}


class Gated(QLayer):
    """Abstract over the cell: reads the arguments that layers and cells with gates share, by their names."""

    weight_arguments: Mapping[str, str] = {"recurrent_kernel": "recurrent", "recurrent_bias": "bias"}
    dropout: float

    def read_gates(self, given: Mapping[str, Any], confs: Mapping[str, QuantizerConfig | None]) -> None:
        """Set the attributes of these arguments, and note the quantizers that are given.

        Args:
            given: ``units``, ``use_bias``, activations, rates, ``seed``, and what weights begin with and are held by.
            confs: configurations of quantizers by argument; None for the defaults of the declaration.
        """
        title = f"layer {self.name!r}"
        self.units = positive_integer(given["units"], f"{title}: units")
        self.use_bias, self.seed = bool(given["use_bias"]), given["seed"]
        for name in ("dropout", "recurrent_dropout"):
            setattr(self, name, checked(given[name], f"{title}: {name}", "a number from 0 to below 1"))
        self._activations = [name for name in ("activation", "recurrent_activation") if name in given]
        for name in self._activations:
            setattr(self, name, keras.activations.get(given[name]))
        for name in ("kernel", "recurrent", "bias"):
            setattr(self, f"{name}_initializer", keras.initializers.get(given[f"{name}_initializer"]))
            setattr(self, f"{name}_regularizer", keras.regularizers.get(given[f"{name}_regularizer"]))
            setattr(self, f"{name}_constraint", keras.constraints.get(given[f"{name}_constraint"]))
        self._gate_confs = dict(confs)
        for argument, own in confs.items():
            conf = confs[_OTHERWISE[argument]] if own is None and argument in _OTHERWISE else own
            slot = argument.removesuffix("_conf")
            if conf is not None:
                place = "table" if slot.endswith("_oq") else _PLACES.get(slot, "datalane")
                # Made when the layer is built, as those of the scope: which ones there are depends on other arguments.
                self._built_confs[slot] = configured(conf, place, argument)

    def gated(self) -> dict[str, Any]:
        """What all cells take."""
        return {
            "units": self.units,
            "use_bias": self.use_bias,
            "recurrent_dropout": self.recurrent_dropout,
            **{name: declared_activation(getattr(self, name)) for name in self._activations},
        }

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        config = {name: getattr(self, name) for name in ("units", "use_bias", "dropout", "recurrent_dropout", "seed")}
        config |= {name: keras.activations.serialize(getattr(self, name)) for name in self._activations}
        for name in ("kernel", "recurrent", "bias"):
            for word in ("initializer", "regularizer", "constraint"):
                config[f"{name}_{word}"] = serialize(getattr(self, f"{name}_{word}"))
        confs = {name: None if conf is None else serialize(conf) for name, conf in self._gate_confs.items()}
        return super().get_config() | config | confs


class SimpleRnn(Gated):
    """The simple cell."""

    enable_sq: bool

    def read_state(self, enable_sq: bool | None) -> None:
        """Set whether the state has a quantizer of its own; None: as the scope says."""
        self.enable_sq = bool(layer_option("enable_sq")) if enable_sq is None else bool(enable_sq)

    def cell(self) -> SimpleRNNCell:
        """One step."""
        return SimpleRNNCell(**self.gated(), enable_sq=self.enable_sq)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"enable_sq": self.enable_sq}


class Gru(Gated):
    """The cell with an update and a reset gate."""

    reset_after: bool

    def cell(self) -> GRUCell:
        """One step."""
        return GRUCell(**self.gated(), reset_after=self.reset_after)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"reset_after": self.reset_after}


class Lstm(Gated):
    """The cell with a state beside the output."""

    bias_initializer: Any

    def read_forget_gate(self, unit_forget_bias: bool) -> None:
        """Begin with ones as the bias of the forget gate, if that is wanted."""
        self.unit_forget_bias = bool(unit_forget_bias)
        if self.unit_forget_bias and not isinstance(self.bias_initializer, ForgetGate):
            self.bias_initializer = ForgetGate(self.bias_initializer)

    def cell(self) -> LSTMCell:
        """One step."""
        return LSTMCell(**self.gated())

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"unit_forget_bias": self.unit_forget_bias}
