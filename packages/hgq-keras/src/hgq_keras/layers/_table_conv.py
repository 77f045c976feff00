"""Convolutions of trained tables over one or two spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.layers import TableConvolution
from hgq_keras.layers._table_base import TableLayer
from hgq_keras.layers._window import Window, laid_out

if TYPE_CHECKING:
    from hgq_core.layers import Declaration
    from hgq_keras.config import QuantizerConfig

__all__ = ["QConvT1D", "QConvT2D"]


class _TableConv(Window, TableLayer):
    """Abstract over the number of spatial axes; the arguments are those of `QConvT2D`."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        n_hl: int = 1,
        d_hl: int = 8,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        subnn_activation: Any = None,
        use_bias: bool = True,
        activity_regularizer: Any = None,
        toq_conf: QuantizerConfig | None = None,
        parallelization_factor: int = -1,
        *,
        batch_norm: bool = False,
        bn_center: bool = True,
        bn_scale: bool = True,
        bn_momentum: float = 0.99,
        bn_epsilon: float = 0.001,
        table_idxs: tuple[int, int] = (6, 5),
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
            "activity_regularizer": activity_regularizer, "iq_conf": iq_conf, "oq_conf": oq_conf,
            "enable_iq": enable_iq, "enable_oq": enable_oq, "enable_ebops": enable_ebops, "beta0": beta0,
            "ebops_factor": ebops_factor,
        }  # fmt: skip
        super().__init__(options, toq_conf, use_bias, bq_conf, base | kwargs)
        self.take_window(filters, kernel_size, strides, padding, data_format, dilation_rate, groups)

    def declaration(self) -> Declaration:
        operation = TableConvolution(
            self.filters,
            self.kernel_size,
            self.strides,
            self.padding,
            self.dilation_rate,
            self.groups,
            self.use_bias,
            **self.declared(),
        )
        return laid_out(operation, self.data_format)

    def get_config(self) -> dict[str, Any]:
        regularizer = keras.regularizers.serialize(self.activity_regularizer)
        own = {"use_bias": self.use_bias, "activity_regularizer": regularizer}
        return super().get_config() | self.window_config() | own


@keras.saving.register_keras_serializable(package="hgq_keras")
class QConvT1D(_TableConv):
    """A convolution of tables over ``(batch, steps, channels)``: see `QDenseT`, each product of `QConv1D` a table.

    ``y[p, o] = activation(sum_{k,c} table[o, k, c](iq(x[p * stride + k * dilation, c])) + bq(bias[o]))``

    Each edge has a width of its own at each position before its table, and one for all positions behind it. Zeros are
    put around the data: what is there adds the table of 0, which need not be 0. The fan-in of the networks, by whose
    root they are divided, is ``kernel_size * channels / groups``.

    Args:
        filters: number of output channels.
        kernel_size: a number, or a tuple of one.
        n_hl: hidden layers of the network of an edge.
        d_hl: units of each of them.
        strides: a number, or a tuple of one.
        padding: ``valid``, ``same``, or ``causal``.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        dilation_rate: a number, or a tuple of one.
        groups: number of channel groups; with several, tables, widths and bias have an axis of them before the filters.
        activation: behind the sum: ``relu``, None, or another that is not exported.
        subnn_activation: of the hidden layers, a function of one number, such as ``"tanh"``; None: linear, so that
            each table is a straight line.
        use_bias: add a bias.
        activity_regularizer: for the output.
        toq_conf: quantizer of the outputs of the tables; None: the scope's table quantizer, one width for each edge.
        parallelization_factor: positions that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        batch_norm: normalise the output of each edge over the batch and all positions.
        bn_center: with a learned offset.
        bn_scale: with a learned scale.
        bn_momentum: of the moving averages.
        bn_epsilon: added to the variance.
        table_idxs: bits of the inputs of the tables that EBOPs counts in, ``(B, b)``.
        iq_conf: input quantizer, seen as ``(batch, steps, filters, size, channels)``; with ``homogeneous_axis=(0, 1)``
            its widths serve all positions, which then have the same tables.
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
        ShapeError: when built, groups that do not divide the channels, or a window larger than the data.

    >>> import numpy as np
    >>> QConvT1D(3, 2, subnn_activation="tanh")(np.ones((2, 4, 2), "float32")).shape[1:] == (3, 3)
    True
    """

    rank = 1


@keras.saving.register_keras_serializable(package="hgq_keras")
class QConvT2D(_TableConv):
    """A convolution of tables over ``(batch, height, width, channels)``; see `QConvT1D`.

    Args:
        filters: number of output channels.
        kernel_size: a number, or a pair for height and width.
        n_hl: hidden layers of the network of an edge.
        d_hl: units of each of them.
        strides: a number, or a pair for height and width.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        dilation_rate: a number, or a pair for height and width.
        groups: number of channel groups; with several, tables, widths and bias have an axis of them before the filters.
        activation: behind the sum: ``relu``, None, or another that is not exported.
        subnn_activation: of the hidden layers, a function of one number, such as ``"tanh"``; None: linear, so that
            each table is a straight line.
        use_bias: add a bias.
        activity_regularizer: for the output.
        toq_conf: quantizer of the outputs of the tables; None: the scope's table quantizer, one width for each edge.
        parallelization_factor: positions that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        batch_norm: normalise the output of each edge over the batch and all positions.
        bn_center: with a learned offset.
        bn_scale: with a learned scale.
        bn_momentum: of the moving averages.
        bn_epsilon: added to the variance.
        table_idxs: bits of the inputs of the tables that EBOPs counts in, ``(B, b)``.
        iq_conf: input quantizer, seen as ``(batch, height, width, filters, *kernel_size, channels)``; with
            ``homogeneous_axis=(0, 1, 2)`` its widths serve all positions, which then have the same tables.
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
        ShapeError: when built, groups that do not divide the channels, or a window larger than the data.
    """

    rank = 2
