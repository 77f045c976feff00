"""Convolution layers over one or two spatial axes, channels last."""

from __future__ import annotations

from typing import Any

import keras

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.linear import Convolve, explicit_pads
from hgq_keras.checks import positive_integer, sizes
from hgq_keras.layers._base import Shape, instances
from hgq_keras.layers._linear import LinearLayer

__all__ = ["QConv1D", "QConv2D"]


class _Conv(LinearLayer):
    """Convolution over one or two spatial axes, channels last; abstract over their number."""

    rank: int

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(activation, use_bias, **kwargs)
        if (data_format or keras.config.image_data_format()) != "channels_last":
            message = (
                f"layer {self.name!r}: received data_format={data_format!r}, expected 'channels_last'; permute the data"
            )
            raise ConfigError(message)
        paddings = ("valid", "same", "causal") if self.rank == 1 else ("valid", "same")
        if not isinstance(padding, str) or padding.lower() not in paddings:  # type: ignore[redundant-expr]  # users
            message = f"layer {self.name!r}: padding {padding!r} is unknown; expected one of {paddings}"
            raise ConfigError(message)
        self.filters = positive_integer(filters, f"layer {self.name!r}: filters")
        self.groups = positive_integer(groups, f"layer {self.name!r}: groups")
        if self.filters % self.groups:
            message = (
                f"layer {self.name!r}: {filters} filters cannot be divided into {groups} groups; "
                "expected a multiple of the groups"
            )
            raise ConfigError(message)
        self.kernel_size = sizes(kernel_size, self.rank, "kernel_size")
        self.strides = sizes(strides, self.rank, "strides")
        self.dilation_rate = sizes(dilation_rate, self.rank, "dilation_rate")
        self.padding = padding.lower()

    def declare(self, shape: Shape) -> tuple[Convolve, tuple[int, ...], tuple[int, ...], int]:
        if len(shape) != self.rank + 2 or any(n is None for n in shape[1:]):
            message = (
                f"layer {self.name!r}: received shape {shape}, expected (batch, {'n, ' * self.rank}channels), all fixed"
            )
            raise ShapeError(message)
        spatial = [int(n) for n in shape[1:-1] if n is not None]
        channels = int(shape[-1] or 0)
        if channels % self.groups:
            message = f"layer {self.name!r}: {channels} channels cannot be divided into {self.groups} groups"
            raise ShapeError(message)
        pads = explicit_pads(self.padding, spatial, self.kernel_size, self.strides, self.dilation_rate)
        reach = [(w - 1) * d + 1 for w, d in zip(self.kernel_size, self.dilation_rate, strict=True)]
        if any(r > n + sum(pad) for r, n, pad in zip(reach, spatial, pads, strict=True)):
            message = (
                f"layer {self.name!r}: a kernel of {self.kernel_size} and dilation {self.dilation_rate} is larger "
                f"than the data of {tuple(spatial)}; expected a smaller kernel, or padding 'same'"
            )
            raise ShapeError(message)
        operation = Convolve(self.strides, pads, self.dilation_rate, self.groups)
        kernel = (*self.kernel_size, channels // self.groups, self.filters)
        return operation, kernel, (self.filters,), instances(operation.shape(shape, kernel)[1:-1], self.name)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": "channels_last",
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
        }


@keras.saving.register_keras_serializable(package="hgq_keras")
class QConv1D(_Conv):
    """``y = activation(convolve(iq(x), kq(kernel)) + bq(bias))`` over ``(batch, steps, channels)``.

    Args:
        filters: number of output channels.
        kernel_size: a number, or a tuple of one.
        strides: a number, or a tuple of one.
        padding: ``valid``, ``same``, or ``causal``, which pads the quantized input.
        data_format: ``"channels_last"`` or None, if Keras is set so.
        dilation_rate: a number, or a tuple of one.
        groups: number of channel groups.
        activation: ``relu``, None, or another that is not exported.
        use_bias: add a bias.
        **kwargs: those of `LinearLayer` and of `QLayer`: quantizers ``iq_conf, kq_conf, bq_conf, oq_conf``,
            initialisers, regularisers, constraints, ``parallelization_factor``.

    Raises:
        ConfigError: sizes below 1, groups that do not divide the channels, an unknown padding or data format.
    """

    rank = 1


@keras.saving.register_keras_serializable(package="hgq_keras")
class QConv2D(_Conv):
    """``y = activation(convolve(iq(x), kq(kernel)) + bq(bias))`` over ``(batch, height, width, channels)``.

    Args:
        filters: number of output channels.
        kernel_size: a number, or a pair for height and width.
        strides: a number, or a pair for height and width.
        padding: ``valid`` or ``same``.
        data_format: ``"channels_last"`` or None, if Keras is set so.
        dilation_rate: a number, or a pair for height and width.
        groups: number of channel groups.
        activation: ``relu``, None, or another that is not exported.
        use_bias: add a bias.
        **kwargs: those of `LinearLayer` and of `QLayer`: quantizers ``iq_conf, kq_conf, bq_conf, oq_conf``,
            initialisers, regularisers, constraints, ``parallelization_factor``.

    Raises:
        ConfigError: sizes below 1, groups that do not divide the channels, an unknown padding or data format.
    """

    rank = 2
