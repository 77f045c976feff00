"""Dense layers of trained tables, over the last axis or as an einsum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.errors import ConfigError
from hgq_core.layers import Declaration, TableDense, TableEinsum
from hgq_keras._checks import partial_shape, positive_integer
from hgq_keras.layers._table_base import TableLayer

if TYPE_CHECKING:
    from hgq_keras.config import QuantizerConfig

__all__ = ["QDenseT", "QEinsumDenseT"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QDenseT(TableLayer):
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
        super().__init__(options, toq_conf, use_bias, bq_conf, base | kwargs)
        self.n_out = positive_integer(n_out, "n_out")

    def declaration(self) -> Declaration:
        return TableDense(self.n_out, self.use_bias, **self.declared())

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"n_out": self.n_out, "use_bias": self.use_bias}


@keras.saving.register_keras_serializable(package="hgq_keras")
class QEinsumDenseT(TableLayer):
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
        super().__init__(options, toq_conf, bool(bias_axes), bq_conf, base | kwargs)
        if normalize_axes is not None:
            message = (
                f"layer {self.name!r}: received normalize_axes={normalize_axes!r}, expected None: one for each edge"
            )
            raise ConfigError(message)
        self.equation, self.partial_output_shape, self.bias_axes = equation, partial_shape(output_shape), bias_axes

    def declaration(self) -> Declaration:
        return TableEinsum(self.equation, self.partial_output_shape, self.bias_axes, **self.declared())

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "equation": self.equation,
            "output_shape": self.partial_output_shape,
            "bias_axes": self.bias_axes,
        }
