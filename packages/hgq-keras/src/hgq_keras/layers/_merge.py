"""Layers that combine several tensors element by element, or one behind the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from hgq_core.graph.ops import Add, Maximum, Minimum, Multiply, Subtract
from hgq_core.layers import (
    Average,
    Declaration,
    Joined,
    Merge,
    inner_axis,
)
from hgq_keras._checks import integer
from hgq_keras.layers._base import QLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_keras.config import QuantizerConfig

__all__ = ["Merged", "QAdd", "QAveragePow2", "QConcatenate", "QMaximum", "QMinimum", "QMultiply", "QSubtract"]


class Merged(QLayer):
    """A layer of several tensors; abstract over what it declares.

    Args:
        iq_confs: one quantizer configuration for all inputs, or one for each.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the inputs; None: if ``iq_confs`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: another number of configurations than of inputs; too few or too many inputs.
        ShapeError: shapes that do not fit together.
    """

    many_inputs = True

    def __init__(
        self,
        iq_confs: QuantizerConfig | Sequence[QuantizerConfig] | None = None,
        *,
        oq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            iq_conf=iq_confs,
            oq_conf=oq_conf,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            ebops_factor=ebops_factor,
            **kwargs,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return config | {"iq_confs": config.pop("iq_conf")}


class _Elementwise(Merged):
    """The same, element by element, broadcasting as NumPy."""

    def compute_mask(self, inputs: Any, previous_mask: Sequence[Any] | None = None) -> Any:  # noqa: ARG002 (of Keras)
        """The places that one of the masks keeps, as of Keras' own merging layers; None where an input has none."""
        if previous_mask is None or any(mask is None for mask in previous_mask):
            return None
        kept, *others = previous_mask
        for mask in others:
            kept = keras.ops.logical_or(kept, mask)
        return kept


@keras.saving.register_keras_serializable(package="hgq_keras")
class QAdd(_Elementwise):
    """``y = iq_0(x_0) + iq_1(x_1) + ...``, broadcasting as NumPy; the arguments are those of every layer of tensors.

    EBOPs: ``0.65 * (sum of bits - sum of the smallest operand's bits)``.

    Args:
        iq_confs: one quantizer configuration for all inputs, or one for each.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the inputs; None: if ``iq_confs`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    >>> one = keras.ops.ones((1, 2))
    >>> QAdd()([one, one], training=True).shape == (1, 2)
    True
    """

    def declaration(self) -> Declaration:
        return Merge(Add())


@keras.saving.register_keras_serializable(package="hgq_keras")
class QSubtract(_Elementwise):
    """``y = iq_0(x_0) - iq_1(x_1)``, of two tensors; see `QAdd`.

    Args:
        iq_confs: one quantizer configuration for all inputs, or one for each.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the inputs; None: if ``iq_confs`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.
    """

    def declaration(self) -> Declaration:
        return Merge(Subtract())


@keras.saving.register_keras_serializable(package="hgq_keras")
class QMultiply(_Elementwise):
    """``y = iq_0(x_0) * iq_1(x_1) * ...``; see `QAdd`. EBOPs: the sum of the products of bits.

    Args:
        iq_confs: one quantizer configuration for all inputs, or one for each.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the inputs; None: if ``iq_confs`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.
    """

    def declaration(self) -> Declaration:
        return Merge(Multiply())


@keras.saving.register_keras_serializable(package="hgq_keras")
class QMaximum(_Elementwise):
    """``y = max(iq_0(x_0), iq_1(x_1), ...)``; see `QAdd`. EBOPs: sum of bits less the sum of the smallest one's.

    Args:
        iq_confs: one quantizer configuration for all inputs, or one for each.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the inputs; None: if ``iq_confs`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.
    """

    def declaration(self) -> Declaration:
        return Merge(Maximum())


@keras.saving.register_keras_serializable(package="hgq_keras")
class QMinimum(_Elementwise):
    """``y = min(iq_0(x_0), iq_1(x_1), ...)``; see `QMaximum`.

    Args:
        iq_confs: one quantizer configuration for all inputs, or one for each.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the inputs; None: if ``iq_confs`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.
    """

    def declaration(self) -> Declaration:
        return Merge(Minimum())


@keras.saving.register_keras_serializable(package="hgq_keras")
class QAveragePow2(_Elementwise):
    """``y = (iq_0(x_0) + iq_1(x_1) + ...) * 2**round(log2(1 / n))`` of n tensors; see `QAdd`, whose EBOPs it has.

    Args:
        iq_confs: one quantizer configuration for all inputs, or one for each.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the inputs; None: if ``iq_confs`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.
    """

    def declaration(self) -> Declaration:
        return Average()


@keras.saving.register_keras_serializable(package="hgq_keras")
class QConcatenate(Merged):
    """The quantized tensors one behind the other along an axis; it costs nothing.

    Args:
        axis: along which; the batch axis is 0.
        iq_confs: one quantizer configuration for all inputs, or one for each.
        oq_conf: output quantizer; giving one enables it.
        enable_iq: quantize the inputs; None: if ``iq_confs`` is given, else as the scope says.
        enable_oq: quantize the output; likewise.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says, and only with an input quantizer.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: an axis that the tensors do not have, or the batch axis.
        ShapeError: shapes that do not fit.

    >>> x = keras.ops.ones((1, 4))
    >>> QConcatenate()([x, x]).shape == (1, 8)
    True
    """

    def __init__(
        self,
        axis: int = -1,
        iq_confs: QuantizerConfig | Sequence[QuantizerConfig] | None = None,
        *,
        oq_conf: QuantizerConfig | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            iq_confs,
            oq_conf=oq_conf,
            enable_iq=enable_iq,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            ebops_factor=ebops_factor,
            **kwargs,
        )
        self.axis = integer(axis, f"layer {self.name!r}: axis")
        self.supports_masking = False

    def declaration(self) -> Declaration:
        return lambda t, *xs: Joined(inner_axis(self.axis, len(t.shape(xs[0])) + 1, "axis"))(t, *xs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"axis": self.axis}
