"""What layers of trained tables have in common: the network of an edge and the quantizers at its ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import ConfigError
from hgq_core.layers import EdgeNetwork, FrameworkFunction, check_factor
from hgq_keras._checks import averaging, integer, positive_integer
from hgq_keras._unary import check_elementwise
from hgq_keras.config import configured
from hgq_keras.layers._base import QLayer
from hgq_keras.layers._kernel import declared_activation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_keras.config import QuantizerConfig

__all__ = ["TableLayer", "TableNetwork"]


@dataclass(frozen=True)
class TableNetwork:
    """The network of an edge, as the arguments of Keras say it.

    Attributes:
        n_hl: hidden layers.
        d_hl: units of each of them.
        subnn_activation: of the hidden layers.
        batch_norm: normalise the output of each edge.
        bn_center: with a learned offset.
        bn_scale: with a learned scale.
        bn_momentum: of the moving averages.
        bn_epsilon: added to the variance.
        table_idxs: bits of the inputs of the tables that EBOPs counts in.
    """

    n_hl: int
    d_hl: int
    subnn_activation: Any
    batch_norm: bool
    bn_center: bool
    bn_scale: bool
    bn_momentum: float
    bn_epsilon: float
    table_idxs: tuple[int, int]

    @staticmethod
    def of(options: Mapping[str, Any], layer: str, idxs: str = "table_idxs") -> TableNetwork:
        """The network of these arguments.

        Args:
            options: by name.
            layer: name of the layer, for messages.
            idxs: what the layer calls ``table_idxs``.

        Raises:
            ConfigError: one that does not fit.
        """
        function = keras.activations.get(options["subnn_activation"])
        check_elementwise(function, layer)
        momentum, epsilon = averaging(options["bn_momentum"], options["bn_epsilon"], layer)
        given = tuple(options[idxs])
        if len(given) != 2:
            message = f"layer {layer!r}: received {idxs}={given}, expected two numbers such as (6, 5)"
            raise ConfigError(message)
        return TableNetwork(
            integer(options["n_hl"], f"layer {layer!r}: n_hl", "an integer of 0 or more", 0),
            positive_integer(options["d_hl"], f"layer {layer!r}: d_hl"),
            function,
            bool(options["batch_norm"]),
            bool(options["bn_center"]),
            bool(options["bn_scale"]),
            momentum,
            epsilon,
            (positive_integer(given[0], idxs), positive_integer(given[1], idxs)),
        )

    def declared(self) -> EdgeNetwork:
        """As a declaration has it."""
        linear = self.subnn_activation is keras.activations.linear
        function = None if linear else FrameworkFunction(self.subnn_activation)
        return EdgeNetwork(
            self.n_hl, self.d_hl, function, self.batch_norm, self.bn_center, self.bn_scale, self.bn_epsilon
        )

    def config(self, idxs: str = "table_idxs") -> dict[str, Any]:
        """The arguments, for the configuration of a layer."""
        plain = ("n_hl", "d_hl", "batch_norm", "bn_center", "bn_scale", "bn_momentum", "bn_epsilon")
        return {
            **{name: getattr(self, name) for name in plain},
            "subnn_activation": keras.activations.serialize(self.subnn_activation),
            idxs: list(self.table_idxs),
        }


class TableLayer(QLayer):
    """What layers of tables have in common: the network of an edge, the quantizer of its output, and the bias.

    Args:
        options: the arguments that say what the network of an edge is, and how it is counted.
        toq_conf: quantizer of the outputs of the tables; None: one width for each edge.
        use_bias: whether there is a bias.
        bq_conf: its quantizer.
        base: arguments of `QLayer`.
    """

    input_in_table = True

    def __init__(
        self,
        options: Mapping[str, Any],
        toq_conf: QuantizerConfig | None,
        use_bias: bool,
        bq_conf: QuantizerConfig | None,
        base: Mapping[str, Any],
    ) -> None:
        super().__init__(**base)
        if not self.enable_iq:
            message = f"layer {self.name!r}: received enable_iq=False, expected True: a table has one entry per input"
            raise ConfigError(message)
        self.network = TableNetwork.of(options, self.name)
        self.momentum = self.network.bn_momentum
        self.activation = keras.activations.get(options["activation"])
        check_factor(options["parallelization_factor"])
        self.parallelization_factor = int(options["parallelization_factor"])
        # None leaves each edge a width of its own, which the place says otherwise.
        self._toq_conf = None if toq_conf is None else configured(toq_conf, "table", "toq_conf")
        self.toq = None if self._toq_conf is None else self.make_quantizer(self._toq_conf, "toq")
        self.use_bias = bool(use_bias)
        self._bq_conf = configured(bq_conf, "bias", "bq_conf")
        self.bq = self.make_quantizer(self._bq_conf, "bq") if self.use_bias else None
        self.bias = None

    def declared(self) -> dict[str, Any]:
        """What every declaration of tables takes."""
        return {
            "network": self.network.declared(),
            "activation": declared_activation(self.activation),
            "parallelization_factor": self.parallelization_factor,
            "table_idxs": self.network.table_idxs,
        }

    def get_config(self) -> dict[str, Any]:
        conf = self._toq_conf
        return super().get_config() | {
            **self.network.config(),
            "parallelization_factor": self.parallelization_factor,
            "activation": keras.activations.serialize(self.activation),
            "toq_conf": None if conf is None else keras.saving.serialize_keras_object(conf),
            "bq_conf": keras.saving.serialize_keras_object(self._bq_conf),
        }
