"""Batch normalisation with a quantized scale and offset per channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.layers import BatchNormalization, Declaration, Trace, Value, inner_axis, weight_of
from hgq_keras._checks import averaging, integer, replicas
from hgq_keras._computed import computed
from hgq_keras._ops import KERAS
from hgq_keras._slots import CallSlots
from hgq_keras.config import configured
from hgq_keras.layers._base import QLayer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hgq_keras.config import QuantizerConfig

__all__ = ["QBatchNormalization"]


@keras.saving.register_keras_serializable(package="hgq_keras")
class QBatchNormalization(QLayer):
    """``y = iq(x) * kq(scale) + bq(offset)``, a quantized batch normalisation.

    ``scale = gamma / sqrt(variance + epsilon)``, ``offset = beta - mean * scale``.
    In training mean and variance are those of the batch, else the moving averages. The learned offset is ``bn_beta``,
    since ``beta`` is the weight of the EBOPs.

    Under a ``tf.distribute`` strategy the moving averages are the mean over the replicas; with ``synchronized=True``
    each replica also normalises with the statistics of all.

    Args:
        axis: of the channels, along which it normalises; the batch axis is 0.
        momentum: of the moving averages.
        epsilon: added to the variance.
        center: learn an offset.
        scale: learn a scale.
        beta_initializer: of the learned offset, as in Keras.
        gamma_initializer: of the learned scale.
        moving_mean_initializer: of the moving average of the mean.
        moving_variance_initializer: of the moving average of the variance.
        beta_regularizer: of the learned offset.
        gamma_regularizer: of the learned scale.
        beta_constraint: of the learned offset.
        gamma_constraint: of the learned scale.
        synchronized: normalise with the statistics of all replicas (TensorFlow only).
        kq_conf: quantizer of the scale; None: the scope's weight quantizer.
        bq_conf: quantizer of the offset; None: the scope's bias quantizer.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: a momentum outside [0, 1], an epsilon that is not positive, ``synchronized`` without TensorFlow,
            the batch axis, or an axis that the data do not have.
    """

    weight_arguments: Mapping[str, str] = {"bn_beta": "beta"}

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        synchronized: bool = False,
        kq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
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
            iq_conf=iq_conf,
            oq_conf=oq_conf,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            ebops_factor=ebops_factor,
            **kwargs,
        )
        self.axis = integer(axis, f"layer {self.name!r}: axis")
        self.momentum, self.epsilon = averaging(momentum, epsilon, self.name)
        self.synchronized = replicas(synchronized, self.name)
        self.center = bool(center)
        self.scale = bool(scale)
        self.beta_initializer = keras.initializers.get(beta_initializer)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.moving_mean_initializer = keras.initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = keras.initializers.get(moving_variance_initializer)
        self.beta_regularizer = keras.regularizers.get(beta_regularizer)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.beta_constraint = keras.constraints.get(beta_constraint)
        self.gamma_constraint = keras.constraints.get(gamma_constraint)
        self._kq_conf = configured(kq_conf, "weight", "kq_conf")
        self._bq_conf = configured(bq_conf, "bias", "bq_conf")
        self.kq = self.make_quantizer(self._kq_conf, "kq")
        self.bq = self.make_quantizer(self._bq_conf, "bq")
        self.bn_beta = None

    def declaration(self) -> Declaration:
        return self._declared

    def _declared(self, t: Trace, x: Value) -> Value:
        axis = inner_axis(self.axis, len(t.shape(x)) + 1, "axis")
        return BatchNormalization(self.epsilon, self.center, self.scale, beta="bn_beta", axis=axis)(t, x)

    @property
    @computed
    def bn_gamma(self) -> Any:
        """The learned scale; None without."""
        return getattr(self, "gamma", None)

    @property
    @computed
    def qscaler_and_qoffset(self) -> tuple[Any, Any]:
        """The quantized scale and offset as hardware has them, each ``(channels,)``."""
        slots = CallSlots(self, training=False)
        scale, offset = (weight_of(KERAS, slots, self.program, slot) for slot in ("kq", "bq"))
        return self.kq(scale, training=False), self.bq(offset, training=False)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": keras.initializers.serialize(self.beta_initializer),
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": keras.initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": keras.initializers.serialize(self.moving_variance_initializer),
            "beta_regularizer": keras.regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": keras.regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": keras.constraints.serialize(self.beta_constraint),
            "gamma_constraint": keras.constraints.serialize(self.gamma_constraint),
            "synchronized": self.synchronized,
            "kq_conf": serialize(self._kq_conf),
            "bq_conf": serialize(self._bq_conf),
        }
