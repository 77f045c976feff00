"""The window of a convolution, over data of either layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError
from hgq_core.layers import ChannelsFirst, Convolution, FoldedNorm
from hgq_keras._checks import data_format_of, known_padding, positive_integer, sizes
from hgq_keras.layers._kernel import KernelLayer, declared_activation

if TYPE_CHECKING:
    from hgq_core.layers import Declaration

__all__ = ["Window", "WindowLayer", "laid_out", "position_config", "take_positions"]


def laid_out(declaration: Declaration, data_format: str) -> Declaration:
    """A declaration for channels at the end, for data of this layout."""
    return ChannelsFirst(declaration) if data_format == "channels_first" else declaration


def take_positions(
    layer: Any, given: tuple[Any, Any, str, str | None, Any], rank: int, paddings: tuple[str, ...]
) -> None:
    """Make the arguments that say which positions meet attributes of a layer.

    Args:
        layer: a Keras layer.
        given: kernel_size, strides, padding, data_format and dilation_rate.
        rank: the number of spatial axes.
        paddings: those that it has.

    Raises:
        ConfigError: sizes below 1, an unknown padding or data format, strides with dilation, which Keras has not.
    """
    title = f"layer {layer.name!r}"
    kernel_size, strides, padding, data_format, dilation_rate = given
    layer.data_format = data_format_of(data_format, layer.name)
    layer.padding = known_padding(padding, paddings, layer.name)
    layer.kernel_size = sizes(kernel_size, rank, f"{title}: kernel_size")
    layer.strides = sizes(strides, rank, f"{title}: strides")
    layer.dilation_rate = sizes(dilation_rate, rank, f"{title}: dilation_rate")
    if max(layer.strides) > 1 and max(layer.dilation_rate) > 1:
        message = (
            f"{title}: received strides {layer.strides} and dilation_rate {layer.dilation_rate}, expected only one of "
            "the two above 1, as in Keras"
        )
        raise ConfigError(message)


def position_config(layer: Any) -> dict[str, Any]:
    """The arguments of `take_positions`, for the configuration."""
    names = ("kernel_size", "strides", "padding", "data_format", "dilation_rate")
    return {name: getattr(layer, name) for name in names}


class Window:
    """The arguments of a convolution over so many spatial axes; abstract over their number."""

    rank: int
    name: str
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation_rate: tuple[int, ...]
    padding: str
    data_format: str

    def take_window(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        groups: int,
    ) -> None:
        """Take the arguments that say what is convolved.

        Raises:
            ConfigError: sizes below 1, groups that do not divide the filters, an unknown padding or data format.
        """
        self.take_positions(kernel_size, strides, padding, data_format, dilation_rate)
        self.filters = positive_integer(filters, f"layer {self.name!r}: filters")
        self.groups = positive_integer(groups, f"layer {self.name!r}: groups")
        if self.filters % self.groups:
            message = (
                f"layer {self.name!r}: {filters} filters cannot be divided into {groups} groups; "
                "expected a multiple of the groups"
            )
            raise ConfigError(message)

    def take_positions(
        self, kernel_size: Any, strides: Any, padding: str, data_format: str | None, dilation_rate: Any
    ) -> None:
        """Take the arguments that say which positions meet.

        Raises:
            ConfigError: sizes below 1, an unknown padding or data format, strides with dilation.
        """
        paddings = ("valid", "same", "causal") if self.rank == 1 else ("valid", "same")
        take_positions(self, (kernel_size, strides, padding, data_format, dilation_rate), self.rank, paddings)

    def window_config(self) -> dict[str, Any]:
        """The arguments of `take_window`, for the configuration."""
        return {
            "filters": self.filters,
            **position_config(self),
            "groups": self.groups,
        }


class WindowLayer(Window, KernelLayer):
    """A convolution with a kernel; abstract over the number of spatial axes and over its constructor."""

    def convolution(self, norm: FoldedNorm | None = None) -> Declaration:
        """The declaration, with a norm folded in."""
        operation = Convolution(
            self.filters,
            self.kernel_size,
            self.strides,
            self.padding,
            self.dilation_rate,
            self.groups,
            self.use_bias,
            declared_activation(self.activation),
            self.parallelization_factor,
            norm,
        )
        return laid_out(operation, self.data_format)
