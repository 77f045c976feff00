"""Transposed convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_keras.layers._transposed_base import TransposedLayer

if TYPE_CHECKING:
    from hgq_keras.config import QuantizerConfig

__all__ = ["QConv1DTranspose", "QConv2DTranspose", "QConv3DTranspose"]


class _Transposed(TransposedLayer):
    """Abstract over one or two spatial axes; the arguments are those of `QConv2DTranspose`."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        kq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        parallelization_factor: int = -1,
        *,
        iq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            (filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate),
            activation=activation,
            use_bias=use_bias,
            kernel=(kernel_initializer, kernel_regularizer, kernel_constraint),
            bias=(bias_initializer, bias_regularizer, bias_constraint),
            kq_conf=kq_conf,
            bq_conf=bq_conf,
            parallelization_factor=parallelization_factor,
            base={
                "activity_regularizer": activity_regularizer,
                "iq_conf": iq_conf,
                "oq_conf": oq_conf,
                "enable_iq": enable_iq,
                "enable_oq": enable_oq,
                "enable_ebops": enable_ebops,
                "beta0": beta0,
                "ebops_factor": ebops_factor,
                **kwargs,
            },
        )


@keras.saving.register_keras_serializable(package="hgq_keras")
class QConv1DTranspose(_Transposed):
    """``y[p * stride + tap * dilation - cut] += iq(x)[p] @ kq(kernel)[tap]``, and ``activation(y + bq(bias))``.

    The transposed convolution of `keras.layers.Conv1DTranspose` over ``(batch, steps, channels)``, its
    kernel stored as there, ``(*window, filters, channels)``. EBOPs count the products that there are: none with the
    zeros that one may imagine between positions, none that the padding cuts away.

    Args:
        filters: number of output channels.
        kernel_size: a number, or a tuple of one.
        strides: a number, or a tuple of one.
        padding: ``valid`` or ``same``.
        output_padding: so many positions more at the end, each less than the stride; None: with ``same`` the output
            has ``n * stride`` positions, with ``valid`` at least so many.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        dilation_rate: a number, or a tuple of one.
        activation: ``relu``, None, or another that is not exported.
        use_bias: add a bias.
        kernel_initializer: as in Keras, and so are the next ones.
        bias_initializer: of the bias.
        kernel_regularizer: added to the loss for the kernel.
        bias_regularizer: for the bias.
        activity_regularizer: for the output.
        kernel_constraint: applied to the kernel after a step.
        bias_constraint: to the bias.
        kq_conf: kernel quantizer, which sees ``(*window, channels, filters)``; None: the scope's weight quantizer.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        parallelization_factor: positions of the input that are built in hardware, -1 for all; EBOPs are scaled by
            ``pf / n``.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, strides with dilation, an output padding that is not less than the stride, an
            unknown padding or data format.
        ShapeError: data of another number of axes.

    >>> x = keras.ops.ones((2, 4, 3))
    >>> QConv1DTranspose(5, 3, 2, padding="same", data_format="channels_last")(x).shape == (2, 8, 5)
    True
    """

    rank = 1


@keras.saving.register_keras_serializable(package="hgq_keras")
class QConv2DTranspose(_Transposed):
    """``y[p * stride + tap * dilation - cut] += iq(x)[p] @ kq(kernel)[tap]``, and ``activation(y + bq(bias))``.

    The transposed convolution of `keras.layers.Conv2DTranspose` over ``(batch, height, width, channels)``, its
    kernel stored as there, ``(*window, filters, channels)``. EBOPs count the products that there are: none with the
    zeros that one may imagine between positions, none that the padding cuts away.

    Args:
        filters: number of output channels.
        kernel_size: a number, or a pair for height and width.
        strides: a number, or a pair for height and width.
        padding: ``valid`` or ``same``.
        output_padding: so many positions more at the end, each less than the stride; None: with ``same`` the output
            has ``n * stride`` positions, with ``valid`` at least so many.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        dilation_rate: a number, or a pair for height and width.
        activation: ``relu``, None, or another that is not exported.
        use_bias: add a bias.
        kernel_initializer: as in Keras, and so are the next ones.
        bias_initializer: of the bias.
        kernel_regularizer: added to the loss for the kernel.
        bias_regularizer: for the bias.
        activity_regularizer: for the output.
        kernel_constraint: applied to the kernel after a step.
        bias_constraint: to the bias.
        kq_conf: kernel quantizer, which sees ``(*window, channels, filters)``; None: the scope's weight quantizer.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        parallelization_factor: positions of the input that are built in hardware, -1 for all; EBOPs are scaled by
            ``pf / n``.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, strides with dilation, an output padding that is not less than the stride, an
            unknown padding or data format.
        ShapeError: data of another number of axes.

    >>> x = keras.ops.ones((2, 4, 4, 3))
    >>> QConv2DTranspose(5, 3, 2, padding="same", data_format="channels_last")(x).shape == (2, 8, 8, 5)
    True
    """

    rank = 2


@keras.saving.register_keras_serializable(package="hgq_keras")
class QConv3DTranspose(TransposedLayer):
    """``y[p * stride + tap * dilation - cut] += iq(x)[p] @ kq(kernel)[tap]``, and ``activation(y + bq(bias))``.

    The transposed convolution of `keras.layers.Conv3DTranspose` over ``(batch, depth, height, width, channels)``, its
    kernel stored as there, ``(*window, filters, channels)``. EBOPs count the products that there are: none with the
    zeros that one may imagine between positions, none that the padding cuts away.

    Args:
        filters: number of output channels.
        kernel_size: a number, or one for each of depth, height and width.
        strides: a number, or one for each of depth, height and width.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        output_padding: so many positions more at the end, each less than the stride; None: with ``same`` the output
            has ``n * stride`` positions, with ``valid`` at least so many.
        dilation_rate: a number, or one for each of depth, height and width.
        activation: ``relu``, None, or another that is not exported.
        use_bias: add a bias.
        kernel_initializer: as in Keras, and so are the next ones.
        bias_initializer: of the bias.
        kernel_regularizer: added to the loss for the kernel.
        bias_regularizer: for the bias.
        activity_regularizer: for the output.
        kernel_constraint: applied to the kernel after a step.
        bias_constraint: to the bias.
        kq_conf: kernel quantizer, which sees ``(*window, channels, filters)``; None: the scope's weight quantizer.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        parallelization_factor: positions of the input that are built in hardware, -1 for all; EBOPs are scaled by
            ``pf / n``.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, strides with dilation, an output padding that is not less than the stride, an
            unknown padding or data format.
        ShapeError: data of another number of axes.

    >>> x = keras.ops.ones((2, 4, 4, 4, 3))
    >>> QConv3DTranspose(5, 3, 2, padding="same", data_format="channels_last")(x).shape == (2, 8, 8, 8, 5)
    True
    """

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        kq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        parallelization_factor: int = -1,
        *,
        iq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            (filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate),
            activation=activation,
            use_bias=use_bias,
            kernel=(kernel_initializer, kernel_regularizer, kernel_constraint),
            bias=(bias_initializer, bias_regularizer, bias_constraint),
            kq_conf=kq_conf,
            bq_conf=bq_conf,
            parallelization_factor=parallelization_factor,
            base={
                "activity_regularizer": activity_regularizer,
                "iq_conf": iq_conf,
                "oq_conf": oq_conf,
                "enable_iq": enable_iq,
                "enable_oq": enable_oq,
                "enable_ebops": enable_ebops,
                "beta0": beta0,
                "ebops_factor": ebops_factor,
                **kwargs,
            },
        )
