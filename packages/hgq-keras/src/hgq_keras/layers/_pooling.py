"""Pooling over one, two or three spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import keras

from hgq_core.layers import Declaration, Pooling, check_factor
from hgq_keras._checks import data_format_of, known_padding, sizes
from hgq_keras.layers._base import QLayer
from hgq_keras.layers._window import laid_out

if TYPE_CHECKING:
    from hgq_keras.config import QuantizerConfig

__all__ = [
    "QAveragePooling1D",
    "QAveragePooling2D",
    "QAveragePooling3D",
    "QMaxPooling1D",
    "QMaxPooling2D",
    "QMaxPooling3D",
]


class _Pooling(QLayer):
    """A window moved over data; abstract over what it computes, and over how many axes."""

    kind: Literal["max", "average"]
    rank: int

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
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
        self.padding = known_padding(padding, ("valid", "same"), self.name)
        self.pool_size = sizes(pool_size, self.rank, f"layer {self.name!r}: pool_size")
        self.strides = self.pool_size if strides is None else sizes(strides, self.rank, f"layer {self.name!r}: strides")
        check_factor(parallelization_factor)
        self.parallelization_factor = int(parallelization_factor)

    def declaration(self) -> Declaration:
        pooling = Pooling(self.kind, self.pool_size, self.strides, self.padding, self.parallelization_factor)
        return laid_out(pooling, self.data_format)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "parallelization_factor": self.parallelization_factor,
        }


@keras.saving.register_keras_serializable(package="hgq_keras")
class QMaxPooling1D(_Pooling):
    """Maximum over each window of the quantized input ``(batch, steps, channels)``.

    Args:
        pool_size: a number, or a tuple of one.
        strides: likewise; None: the size of the window.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        parallelization_factor: windows that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, an unknown padding or data format.
    """

    kind = "max"
    rank = 1


@keras.saving.register_keras_serializable(package="hgq_keras")
class QMaxPooling2D(_Pooling):
    """Maximum over each window of the quantized input ``(batch, height, width, channels)``.

    Args:
        pool_size: a number, or a pair for height and width.
        strides: likewise; None: the size of the window.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        parallelization_factor: windows that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, an unknown padding or data format.
    """

    kind = "max"
    rank = 2


@keras.saving.register_keras_serializable(package="hgq_keras")
class QMaxPooling3D(_Pooling):
    """Maximum over each window of the quantized input ``(batch, depth, height, width, channels)``.

    Args:
        pool_size: a number, or one for each of depth, height and width.
        strides: likewise; None: the size of the window.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        parallelization_factor: windows that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, an unknown padding or data format.
    """

    kind = "max"
    rank = 3


@keras.saving.register_keras_serializable(package="hgq_keras")
class QAveragePooling1D(_Pooling):
    """Average over each window of the quantized input ``(batch, steps, channels)``, padding left
    out of the count.

    A sum times ``1 / n``; where n is no power of two, ``1 / n`` is rounded to 12 significant bits, so that training and
    hardware compute the same number.

    Args:
        pool_size: a number, or a tuple of one.
        strides: likewise; None: the size of the window.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        parallelization_factor: windows that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, an unknown padding or data format.
    """

    kind = "average"
    rank = 1


@keras.saving.register_keras_serializable(package="hgq_keras")
class QAveragePooling2D(_Pooling):
    """Average over each window of the quantized input ``(batch, height, width, channels)``, padding left
    out of the count.

    A sum times ``1 / n``; where n is no power of two, ``1 / n`` is rounded to 12 significant bits, so that training and
    hardware compute the same number.

    Args:
        pool_size: a number, or a pair for height and width.
        strides: likewise; None: the size of the window.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        parallelization_factor: windows that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, an unknown padding or data format.
    """

    kind = "average"
    rank = 2


@keras.saving.register_keras_serializable(package="hgq_keras")
class QAveragePooling3D(_Pooling):
    """Average over each window of the quantized input ``(batch, depth, height, width, channels)``, padding left
    out of the count.

    A sum times ``1 / n``; where n is no power of two, ``1 / n`` is rounded to 12 significant bits, so that training and
    hardware compute the same number.

    Args:
        pool_size: a number, or one for each of depth, height and width.
        strides: likewise; None: the size of the window.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or ``"channels_first"``, ``(batch, channels, ...)``; None: as Keras is set.
        parallelization_factor: windows that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the input; None: if ``iq_conf`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, an unknown padding or data format.
    """

    kind = "average"
    rank = 3
