"""Pooling over all positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import keras

from hgq_core.layers import Declaration, GlobalPooling
from hgq_keras._checks import data_format_of
from hgq_keras.layers._base import QLayer
from hgq_keras.layers._window import laid_out

if TYPE_CHECKING:
    from hgq_keras.config import QuantizerConfig

__all__ = [
    "QGlobalAveragePooling1D",
    "QGlobalAveragePooling2D",
    "QGlobalAveragePooling3D",
    "QGlobalMaxPooling1D",
    "QGlobalMaxPooling2D",
    "QGlobalMaxPooling3D",
]


class _GlobalPooling(QLayer):
    """One window that covers all positions; abstract over what it computes, and over how many axes."""

    kind: Literal["max", "average"]
    rank: int

    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
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
        self.data_format = data_format_of(data_format, self.name)
        self.keepdims = bool(keepdims)

    def declaration(self) -> Declaration:
        return laid_out(GlobalPooling(self.kind, self.rank, self.keepdims), self.data_format)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"data_format": self.data_format, "keepdims": self.keepdims}


@keras.saving.register_keras_serializable(package="hgq_keras")
class QGlobalMaxPooling1D(_GlobalPooling):
    """Maximum over all positions of the quantized input ``(batch, steps, channels)``, for each channel.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        keepdims: keep the axes of positions with size 1.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: an unknown data format.
        ShapeError: data with another number of axes.
    """

    kind = "max"
    rank = 1


@keras.saving.register_keras_serializable(package="hgq_keras")
class QGlobalMaxPooling2D(_GlobalPooling):
    """Maximum over all positions of the quantized input ``(batch, height, width, channels)``, for each channel.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        keepdims: keep the axes of positions with size 1.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: an unknown data format.
        ShapeError: data with another number of axes.
    """

    kind = "max"
    rank = 2


@keras.saving.register_keras_serializable(package="hgq_keras")
class QGlobalMaxPooling3D(_GlobalPooling):
    """Maximum over all positions of the quantized input ``(batch, depth, height, width, channels)``, for each channel.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        keepdims: keep the axes of positions with size 1.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: an unknown data format.
        ShapeError: data with another number of axes.
    """

    kind = "max"
    rank = 3


@keras.saving.register_keras_serializable(package="hgq_keras")
class QGlobalAveragePooling1D(_GlobalPooling):
    """Average over all positions of the quantized input ``(batch, steps, channels)``, for each channel.

    A sum times ``1 / n``; where n is no power of two, ``1 / n`` is rounded to 12 significant bits, so that training and
    hardware compute the same number.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        keepdims: keep the axes of positions with size 1.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: an unknown data format.
        ShapeError: data with another number of axes.
    """

    kind = "average"
    rank = 1


@keras.saving.register_keras_serializable(package="hgq_keras")
class QGlobalAveragePooling2D(_GlobalPooling):
    """Average over all positions of the quantized input ``(batch, height, width, channels)``, for each channel.

    A sum times ``1 / n``; where n is no power of two, ``1 / n`` is rounded to 12 significant bits, so that training and
    hardware compute the same number.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        keepdims: keep the axes of positions with size 1.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: an unknown data format.
        ShapeError: data with another number of axes.
    """

    kind = "average"
    rank = 2


@keras.saving.register_keras_serializable(package="hgq_keras")
class QGlobalAveragePooling3D(_GlobalPooling):
    """Average over all positions of the quantized input ``(batch, depth, height, width, channels)``, for each channel.

    A sum times ``1 / n``; where n is no power of two, ``1 / n`` is rounded to 12 significant bits, so that training and
    hardware compute the same number.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        keepdims: keep the axes of positions with size 1.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: an unknown data format.
        ShapeError: data with another number of axes.
    """

    kind = "average"
    rank = 3
