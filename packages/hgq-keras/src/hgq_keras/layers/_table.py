"""Dense layers of trained tables, over the last axis or as an einsum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import ConfigError
from hgq_core.layers import Declaration, EdgeNetwork, FrameworkFunction, TableDense, TableEinsum, check_factor
from hgq_keras._checks import averaging, integer, partial_shape, positive_integer
from hgq_keras._unary import check_elementwise
from hgq_keras.config import configured
from hgq_keras.layers._base import QLayer
from hgq_keras.layers._kernel import declared_activation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_keras.config import QuantizerConfig

__all__ = ["QDenseT", "QEinsumDenseT"]


class _TableLayer(QLayer):
    """What layers of tables have in common: the network of an edge and the quantizer of its output."""

    input_in_table = True

    def __init__(self, options: Mapping[str, Any], toq_conf: QuantizerConfig | None, base: Mapping[str, Any]) -> None:
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
        self.bias = None

    def _declared(self) -> dict[str, Any]:
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
        }


@keras.saving.register_keras_serializable(package="hgq_keras")
class QDenseT(_TableLayer):
    """``y[o] = activation(sum_i table[i, o](iq(x[i])) + bq(bias[o]))``: a table for each pair of input and output.

    The table of an edge is a small network of one number, ``n_hl`` hidden layers of ``d_hl`` units, whose output is
    divided by ``sqrt(n)`` of ``n`` inputs, so that layers of any width start and train alike. Each edge has a width of
    its own before and behind its table.

    Args:
        n_out: size of the output's last axis.
        n_hl: hidden layers of the network of an edge.
        d_hl: units of each of them.
        activation: behind the sum: ``relu``, None, or another that is not exported.
        subnn_activation: of the hidden layers, a function of one number.
        toq_conf: quantizer of the outputs of the tables; None: the scope's table quantizer, one width for each edge.
        parallelization_factor: instances that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        use_bias: add a bias.
        batch_norm: normalise the output of each edge.
        bn_center: with a learned offset.
        bn_scale: with a learned scale.
        bn_momentum: of the moving averages.
        bn_epsilon: added to the variance.
        table_idxs: bits of the inputs of the tables that EBOPs counts in, ``(B, b)``.
        iq_conf: input quantizer, one width for each edge by default.
        oq_conf: output quantizer; giving one enables it.
        bq_conf: bias quantizer.
        enable_iq: True, or as the scope says where that is True: a table has one entry for each input.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: an option that does not fit, or ``enable_iq=False``.

    >>> import numpy as np
    >>> QDenseT(3)(np.ones((2, 4), "float32")).shape[1]
    3
    """

    def __init__(
        self,
        n_out: int,
        n_hl: int = 1,
        d_hl: int = 8,
        activation: Any = None,
        subnn_activation: Any = "tanh",
        toq_conf: QuantizerConfig | None = None,
        parallelization_factor: int = -1,
        use_bias: bool = True,
        batch_norm: bool = False,
        bn_center: bool = True,
        bn_scale: bool = True,
        bn_momentum: float = 0.99,
        bn_epsilon: float = 0.001,
        table_idxs: tuple[int, int] = (6, 5),
        *,
        iq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        options = {
            "n_hl": n_hl, "d_hl": d_hl, "activation": activation, "subnn_activation": subnn_activation,
            "parallelization_factor": parallelization_factor, "batch_norm": batch_norm, "bn_center": bn_center,
            "bn_scale": bn_scale, "bn_momentum": bn_momentum, "bn_epsilon": bn_epsilon, "table_idxs": table_idxs,
        }  # fmt: skip
        base = {
            "iq_conf": iq_conf, "oq_conf": oq_conf, "enable_iq": enable_iq, "enable_oq": enable_oq,
            "enable_ebops": enable_ebops, "beta0": beta0, "ebops_factor": ebops_factor,
        }  # fmt: skip
        super().__init__(options, toq_conf, base | kwargs)
        self.n_out = positive_integer(n_out, "n_out")
        self.use_bias = bool(use_bias)
        self._bq_conf = configured(bq_conf, "bias", "bq_conf")
        self.bq = self.make_quantizer(self._bq_conf, "bq") if self.use_bias else None

    def declaration(self) -> Declaration:
        return TableDense(self.n_out, self.use_bias, **self._declared())

    def get_config(self) -> dict[str, Any]:
        conf = keras.saving.serialize_keras_object(self._bq_conf)
        return super().get_config() | {"n_out": self.n_out, "use_bias": self.use_bias, "bq_conf": conf}


@keras.saving.register_keras_serializable(package="hgq_keras")
class QEinsumDenseT(_TableLayer):
    """`QDenseT` by an equation: a table for each index of the axes that a kernel would have, summed as it says.

    Args:
        equation: as of `QEinsumDense`; the kernel's axes are those that have tables of their own.
        output_shape: as of `QEinsumDense`.
        n_hl: as of `QDenseT`, as the next ones.
        d_hl: units of the hidden layers.
        activation: behind the sum.
        subnn_activation: of the hidden layers.
        bias_axes: letters of the output along which the bias varies; None: no bias.
        normalize_axes: None; statistics are those of each edge.
        toq_conf: quantizer of the outputs of the tables.
        parallelization_factor: instances that are built in hardware, -1 for all.
        batch_norm: normalise the output of each edge.
        bn_center: with a learned offset.
        bn_scale: with a learned scale.
        bn_momentum: of the moving averages.
        bn_epsilon: added to the variance.
        table_idxs: see `QDenseT`.
        iq_conf: input quantizer, one width for each edge by default.
        oq_conf: output quantizer; giving one enables it.
        bq_conf: bias quantizer.
        enable_iq: True, or as the scope says where that is True: a table has one entry for each input.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: an option that does not fit, ``normalize_axes``, or ``enable_iq=False``.
        ShapeError: when built, an input that the equation does not fit.
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        n_hl: int = 1,
        d_hl: int = 8,
        activation: Any = None,
        subnn_activation: Any = "tanh",
        bias_axes: str | None = None,
        normalize_axes: Any = None,
        toq_conf: QuantizerConfig | None = None,
        parallelization_factor: int = -1,
        batch_norm: bool = False,
        bn_center: bool = True,
        bn_scale: bool = True,
        bn_momentum: float = 0.99,
        bn_epsilon: float = 0.001,
        table_idxs: tuple[int, int] = (6, 5),
        *,
        iq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        options = {
            "n_hl": n_hl, "d_hl": d_hl, "activation": activation, "subnn_activation": subnn_activation,
            "parallelization_factor": parallelization_factor, "batch_norm": batch_norm, "bn_center": bn_center,
            "bn_scale": bn_scale, "bn_momentum": bn_momentum, "bn_epsilon": bn_epsilon, "table_idxs": table_idxs,
        }  # fmt: skip
        base = {
            "iq_conf": iq_conf, "oq_conf": oq_conf, "enable_iq": enable_iq, "enable_oq": enable_oq,
            "enable_ebops": enable_ebops, "beta0": beta0, "ebops_factor": ebops_factor,
        }  # fmt: skip
        super().__init__(options, toq_conf, base | kwargs)
        if normalize_axes is not None:
            message = (
                f"layer {self.name!r}: received normalize_axes={normalize_axes!r}, expected None: one for each edge"
            )
            raise ConfigError(message)
        self.equation, self.partial_output_shape, self.bias_axes = equation, partial_shape(output_shape), bias_axes
        self._bq_conf = configured(bq_conf, "bias", "bq_conf")
        self.bq = self.make_quantizer(self._bq_conf, "bq") if bias_axes else None

    def declaration(self) -> Declaration:
        return TableEinsum(self.equation, self.partial_output_shape, self.bias_axes, **self._declared())

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "equation": self.equation,
            "output_shape": self.partial_output_shape,
            "bias_axes": self.bias_axes,
            "bq_conf": keras.saving.serialize_keras_object(self._bq_conf),
        }
