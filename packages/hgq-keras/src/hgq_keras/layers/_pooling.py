"""Pooling over two spatial axes, channels last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from hgq_core.cost import pooling_cost
from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Multiply
from hgq_core.linear import Pool, average_scale, explicit_pads
from hgq_keras.checks import sizes
from hgq_keras.layers._base import Bits, QLayer, Shape, check_factor, fixed, instances, parallel_share
from hgq_keras.ops import KERAS

if TYPE_CHECKING:
    import numpy as np

    from hgq_core.ops import Ops
    from hgq_keras.export import Emitter

__all__ = ["QAveragePooling2D", "QMaxPooling2D", "pool_operation"]


def pool_operation(kind: Any, shape: Shape, pool_size: Any, strides: Any, padding: str, name: str) -> Pool:
    """The operation of a pooling layer for an input shape ``(batch, *spatial, channels)``."""
    if len(shape) != len(pool_size) + 2 or any(n is None for n in shape[1:]):
        message = (
            f"layer {name!r}: received shape {shape}, expected (batch, *{len(pool_size)} sizes, channels), all fixed"
        )
        raise ShapeError(message)
    spatial = [int(n) for n in shape[1:-1] if n is not None]
    pads = explicit_pads(padding, spatial, pool_size, strides, [1] * len(pool_size))
    return Pool(kind, tuple(pool_size), tuple(strides), pads)


class _Pooling2D(QLayer):
    """A window moved over ``(batch, height, width, channels)``; abstract over what it computes."""

    kind: str

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        parallelization_factor: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (data_format or keras.config.image_data_format()) != "channels_last":
            message = (
                f"layer {self.name!r}: received data_format={data_format!r}, expected 'channels_last'; permute the data"
            )
            raise ConfigError(message)
        if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):  # type: ignore[redundant-expr]  # users
            message = f"layer {self.name!r}: padding {padding!r} is unknown; expected 'valid' or 'same'"
            raise ConfigError(message)
        self.pool_size = sizes(pool_size, 2, f"layer {self.name!r}: pool_size")
        self.strides = self.pool_size if strides is None else sizes(strides, 2, f"layer {self.name!r}: strides")
        self.padding = padding.lower()
        check_factor(parallelization_factor)
        self.parallelization_factor = int(parallelization_factor)

    def build_operation(self, shapes: list[Shape]) -> None:
        self.operation = pool_operation(self.kind, shapes[0], self.pool_size, self.strides, self.padding, self.name)
        positions = instances(self.operation.shape(shapes[0])[1:-1], self.name)
        self._share = parallel_share(self.parallelization_factor, positions)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shape = tuple(input_shape)
        operation = pool_operation(self.kind, shape, self.pool_size, self.strides, self.padding, self.name)
        return tuple(operation.shape(shape))

    def compute(self, inputs: list[Any], training: bool | None) -> Any:  # noqa: ARG002 (the template passes it)
        y = self.operation.apply(KERAS, inputs[0])
        return y if self.operation.kind == "max" else y * ops.convert_to_tensor(self._scale())

    def _scale(self) -> np.ndarray:
        spatial = fixed(self.input_shapes[0][1:-1], self.name)
        return average_scale(self.operation, spatial).astype("float32")

    def count_ebops(self, verbs: Ops, bits: Bits) -> Any:
        shape = fixed(self.input_shapes[0][1:], self.name)
        return pooling_cost(verbs, self.operation, bits(self.iq), shape) * self._share

    def emit(self, emitter: Emitter, inputs: list[str]) -> str:
        factor = self.ebops_factor * self._share if self.enable_ebops else 0.0
        if self.operation.kind == "max":
            return emitter.add(self.operation, inputs[0], factor=factor)
        y = emitter.add(self.operation, inputs[0], factor=factor, composite="average_pool")
        scale = emitter.constant(self._scale(), None, "scale")
        return emitter.add(Multiply(), y, scale, factor=0.0, composite="average_pool")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": "channels_last",
            "parallelization_factor": self.parallelization_factor,
        }


@keras.saving.register_keras_serializable(package="hgq_keras")
class QMaxPooling2D(_Pooling2D):
    """Maximum over each window of the quantized input ``(batch, height, width, channels)``.

    Args:
        pool_size: a number, or a pair for height and width.
        strides: likewise; None: the size of the window.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or None, if Keras is set so.
        parallelization_factor: windows that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        **kwargs: those of `QLayer`.
    """

    kind = "max"


@keras.saving.register_keras_serializable(package="hgq_keras")
class QAveragePooling2D(_Pooling2D):
    """Average over each window of the quantized input, padding left out of the count.

    A sum times ``1 / n``; where n is no power of two, ``1 / n`` is rounded to 12 significant bits, so that training and
    hardware compute the same number.

    Args:
        pool_size: a number, or a pair for height and width.
        strides: likewise; None: the size of the window.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or None, if Keras is set so.
        parallelization_factor: windows that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        **kwargs: those of `QLayer`.
    """

    kind = "sum"
