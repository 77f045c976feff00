"""Dense layers, over the last axis or as an einsum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.layers import Declaration, Dense, ShapedEinsum
from hgq_keras._checks import partial_shape, positive_integer
from hgq_keras.layers._kernel import KernelLayer, declared_activation

if TYPE_CHECKING:
    from hgq_keras.config import QuantizerConfig

__all__ = ["QDense", "QEinsumDense", "partial_shape"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QDense(KernelLayer):
    """``y = activation(iq(x) @ kq(kernel) + bq(bias))`` over the last axis.

    Args:
        units: size of the output's last axis.
        activation: ``relu``, None, or another that is not exported.
        use_bias: add a bias.
        kernel_initializer: as in Keras, and so are the next ones.
        bias_initializer: of the bias.
        kernel_regularizer: added to the loss for the kernel.
        bias_regularizer: for the bias.
        activity_regularizer: for the output.
        kernel_constraint: applied to the kernel after a step.
        bias_constraint: to the bias.
        kq_conf: kernel quantizer; None: the scope's weight quantizer.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        parallelization_factor: instances that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Input ``(batch, ..., n)``, output ``(batch, ..., units)``.

    Raises:
        ConfigError: units below 1, a factor or a configuration that does not fit.
        ShapeError: when built, an input without axes of fixed size.

    >>> import numpy as np
    >>> layer = QDense(3)
    >>> layer(np.ones((2, 4), "float32")).shape[1], layer.ebops > 0
    (3, True)
    """

    def __init__(
        self,
        units: int,
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
        self.units = positive_integer(units, "units")

    def declaration(self) -> Declaration:
        return Dense(self.units, self.use_bias, declared_activation(self.activation), self.parallelization_factor)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units}


@keras.saving.register_keras_serializable(package="hgq_keras")
class QEinsumDense(KernelLayer):
    """``y = activation(einsum(equation, iq(x), kq(kernel)) + bq(bias))``.

    Args:
        equation: as in ``keras.layers.EinsumDense``; may contain ``...``.
        output_shape: output shape without the batch axis and the axes of the ellipsis; None where it equals the input.
        activation: ``relu``, None, or another that is not exported.
        bias_axes: letters of the output along which the bias varies; None: no bias.
        kernel_initializer: as in Keras, and so are the next ones.
        bias_initializer: of the bias.
        kernel_regularizer: added to the loss for the kernel.
        bias_regularizer: for the bias.
        activity_regularizer: for the output.
        kernel_constraint: applied to the kernel after a step.
        bias_constraint: to the bias.
        kq_conf: kernel quantizer; None: the scope's weight quantizer.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        parallelization_factor: instances that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, axes that the output does not have.
        ShapeError: when built, an input that the equation does not fit.
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
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
            activation=activation,
            use_bias=bool(bias_axes),
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
        self.equation = equation
        self.partial_output_shape = partial_shape(output_shape)
        self.bias_axes = bias_axes

    def declaration(self) -> Declaration:
        activation, factor = declared_activation(self.activation), self.parallelization_factor
        return ShapedEinsum(self.equation, self.partial_output_shape, self.bias_axes, activation, factor)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("use_bias")
        return config | {
            "equation": self.equation,
            "output_shape": self.partial_output_shape,
            "bias_axes": self.bias_axes,
        }
