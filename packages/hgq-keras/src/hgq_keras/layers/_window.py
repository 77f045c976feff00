"""The window of a convolution, over data of either layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError
from hgq_core.layers import ChannelsFirst, Convolution, FoldedNorm
from hgq_keras._checks import data_format_of, known_padding, positive_integer, sizes
from hgq_keras.layers._kernel import KernelLayer, declared_activation

if TYPE_CHECKING:
    from hgq_core.layers import Declaration

__all__ = ["Window", "WindowLayer", "laid_out"]


def laid_out(declaration: Declaration, data_format: str) -> Declaration:
    """A declaration for channels at the end, for data of this layout."""
    return ChannelsFirst(declaration) if data_format == "channels_first" else declaration


class Window:
    """The arguments of a convolution over so many spatial axes; abstract over their number."""

    rank: int
    name: str

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
        self.data_format = data_format_of(data_format, self.name)
        paddings = ("valid", "same", "causal") if self.rank == 1 else ("valid", "same")
        self.padding = known_padding(padding, paddings, self.name)
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

    def window_config(self) -> dict[str, Any]:
        """The arguments of `take_window`, for the configuration."""
        return {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
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
