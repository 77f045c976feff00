"""What layers of trained tables have in common: the network of an edge and the quantizers at its ends."""

from __future__ import annotations

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

__all__ = ["TableLayer"]


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
        self.n_hl = integer(options["n_hl"], "n_hl", "an integer of 0 or more", 0)
        self.d_hl = positive_integer(options["d_hl"], "d_hl")
        self.activation = keras.activations.get(options["activation"])
        self.subnn_activation = keras.activations.get(options["subnn_activation"])
        check_elementwise(self.subnn_activation, self.name)
        check_factor(options["parallelization_factor"])
        self.parallelization_factor = int(options["parallelization_factor"])
        self.batch_norm, self.bn_center = bool(options["batch_norm"]), bool(options["bn_center"])
        self.bn_scale = bool(options["bn_scale"])
        self.momentum, self.bn_epsilon = averaging(options["bn_momentum"], options["bn_epsilon"], self.name)
        given = tuple(options["table_idxs"])
        if len(given) != 2:
            message = f"layer {self.name!r}: received table_idxs={given}, expected two numbers such as (6, 5)"
            raise ConfigError(message)
        self.table_idxs = (positive_integer(given[0], "table_idxs"), positive_integer(given[1], "table_idxs"))
        # None leaves each edge a width of its own, which the place says otherwise.
        self._toq_conf = None if toq_conf is None else configured(toq_conf, "table", "toq_conf")
        self.toq = None if self._toq_conf is None else self.make_quantizer(self._toq_conf, "toq")
        self.use_bias = bool(use_bias)
        self._bq_conf = configured(bq_conf, "bias", "bq_conf")
        self.bq = self.make_quantizer(self._bq_conf, "bq") if self.use_bias else None
        self.bias = None

    def declared(self) -> dict[str, Any]:
        """What every declaration of tables takes."""
        linear = self.subnn_activation is keras.activations.linear
        network = EdgeNetwork(
            self.n_hl, self.d_hl, None if linear else FrameworkFunction(self.subnn_activation),
            self.batch_norm, self.bn_center, self.bn_scale, self.bn_epsilon,
        )  # fmt: skip
        return {
            "network": network,
            "activation": declared_activation(self.activation),
            "parallelization_factor": self.parallelization_factor,
            "table_idxs": self.table_idxs,
        }

    def get_config(self) -> dict[str, Any]:
        plain = ("n_hl", "d_hl", "parallelization_factor", "batch_norm", "bn_center", "bn_scale")
        conf = self._toq_conf
        return super().get_config() | {
            **{name: getattr(self, name) for name in (*plain, "bn_epsilon")},
            "bn_momentum": self.momentum,
            "table_idxs": list(self.table_idxs),
            "activation": keras.activations.serialize(self.activation),
            "subnn_activation": keras.activations.serialize(self.subnn_activation),
            "toq_conf": None if conf is None else keras.saving.serialize_keras_object(conf),
            "bq_conf": keras.saving.serialize_keras_object(self._bq_conf),
        }
