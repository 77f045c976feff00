"""What transposed convolutions of every number of axes have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError
from hgq_core.layers import TransposedConvolution
from hgq_keras._checks import integer, positive_integer
from hgq_keras.layers._kernel import KernelLayer, declared_activation
from hgq_keras.layers._window import laid_out, position_config, take_positions

if TYPE_CHECKING:
    from hgq_core.layers import Declaration

__all__ = ["TransposedLayer"]


class TransposedLayer(KernelLayer):
    """A transposed convolution; abstract over the number of spatial axes and over the order of its arguments.

    Args:
        window: filters, kernel_size, strides, padding, output_padding, data_format and dilation_rate.
        **kernel: arguments of `KernelLayer`.

    Raises:
        ConfigError: sizes below 1, strides with dilation, an output padding that is not less than the stride, an
            unknown padding or data format.
    """

    rank: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation_rate: tuple[int, ...]
    padding: str
    data_format: str

    def __init__(self, window: tuple[Any, Any, Any, str, Any, str | None, Any], **kernel: Any) -> None:
        super().__init__(**kernel)
        filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate = window
        take_positions(self, (kernel_size, strides, padding, data_format, dilation_rate), self.rank, ("valid", "same"))
        self.filters = positive_integer(filters, f"layer {self.name!r}: filters")
        self.output_padding = None if output_padding is None else self._padding_of(output_padding)

    def _padding_of(self, given: Any) -> tuple[int, ...]:
        """Positions more at the end of each axis; raises ConfigError for any that are not fewer than the stride."""
        what = f"layer {self.name!r}: output_padding"
        values = tuple(given) if isinstance(given, list | tuple) else (given,) * self.rank
        fits = len(values) == self.rank
        numbers = tuple(integer(n, what, "whole numbers of at least 0", 0) for n in values)
        if not fits or any(n >= stride for n, stride in zip(numbers, self.strides, strict=True)):
            message = (
                f"{what}: received {given!r}, expected None, or {self.rank} number(s) less than the strides "
                f"{self.strides}"
            )
            raise ConfigError(message)
        return numbers

    def declaration(self) -> Declaration:
        operation = TransposedConvolution(
            self.filters,
            self.kernel_size,
            self.strides,
            self.padding,
            self.output_padding,
            self.dilation_rate,
            use_bias=self.use_bias,
            activation=declared_activation(self.activation),
            parallelization_factor=self.parallelization_factor,
            stored="filters",
        )
        return laid_out(operation, self.data_format)

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "output_padding": self.output_padding}
        return super().get_config() | position_config(self) | own
