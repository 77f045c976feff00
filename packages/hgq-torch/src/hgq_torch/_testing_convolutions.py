"""Depthwise, separable and transposed convolutions of the conformance suite as modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.conformance.families import KINDS
from hgq_torch import nn as quantized

if TYPE_CHECKING:
    from torch import nn

    from hgq_core.conformance.backend import Layer
    from hgq_core.layers import Declaration

__all__ = ["MAKERS", "kernel_axes", "of_declaration"]

_KNOWN = {"strides": "stride", "dilation_rate": "dilation"}


def kernel_axes(layer: Layer, window: int) -> tuple[int, ...] | None:
    """The axis of the quantized kernel of the suite at each place of PyTorch's weight; None where it is the same."""
    if layer.kind.startswith("transposed"):
        return (window, window + 1, *range(window))
    return (window + 1, window, *range(window)) if layer.kind.startswith("depthwise") else None


def of_declaration(layer: Layer, name: str, values: Any) -> Any:
    """A weight of the suite, which has it as Keras stores it, in the layout of the quantized kernel."""
    if name == "kernel" and layer.kind.startswith("transposed"):
        return np.swapaxes(values, -1, -2)
    if name == "kernel" and layer.kind.startswith("depthwise"):
        return np.reshape(values, (*np.shape(values)[:-2], 1, -1))
    return values


def _options(layer: Layer, *more: str) -> dict[str, Any]:
    names = ("kernel_size", "strides", "padding", "dilation_rate", "activation", "parallelization_factor", *more)
    given = {_KNOWN.get(name, name): layer.options[name] for name in names if name in layer.options}
    return {"padding": "valid", "bias": "bias" in layer.weights, **given}


def _channels(layer: Layer, shape: tuple[int, ...]) -> int:
    return shape[0 if layer.options.get("data_format") == "channels_first" else -1]


def _depthwise(layer: Layer, shape: tuple[int, ...], given: dict[str, Any]) -> nn.Module:
    """A convolution with as many groups as channels."""
    channels = _channels(layer, shape)
    filters = channels * layer.options.get("depth_multiplier", 1)
    make: Any = getattr(quantized, f"QConv{layer.kind[-2]}d")
    made: nn.Module = make(channels, filters, groups=channels, **_options(layer), **given)
    return made


class _Separable(quantized.QModule):
    """Both convolutions as one module; users write two."""

    def __init__(self, layer: Layer, given: dict[str, Any]) -> None:
        around = {name: given.pop(name) for name in ("iq", "oq", "enable_iq", "enable_oq") if name in given}
        super().__init__(quantizers=given, **around)
        self._layer = layer

    def declaration(self) -> Declaration:
        """That of the suite, channels first."""
        options = {**self._layer.options, "data_format": "channels_first"}
        given = self._layer
        return KINDS[given.kind](type(given)(given.kind, options, given.quantizers, given.weights, given.widths))


def _separable(layer: Layer, shape: tuple[int, ...], given: dict[str, Any]) -> nn.Module:  # noqa: ARG001
    return _Separable(layer, given)


def _transposed(layer: Layer, shape: tuple[int, ...], given: dict[str, Any]) -> nn.Module:
    options, rank = _options(layer, "output_padding"), int(layer.kind[-2])
    if options["padding"] == "valid" and "output_padding" not in options:
        # As Keras has it: at least as many positions as the stride times those of the input.
        strides = layer.options.get("strides", 1)
        strides = (strides,) * rank if isinstance(strides, int) else strides
        options["output_padding"] = tuple(
            max(s - k, 0) for s, k in zip(strides, layer.options["kernel_size"], strict=True)
        )
    make: Any = getattr(quantized, f"QConvTranspose{rank}d")
    made: nn.Module = make(_channels(layer, shape), layer.options["filters"], **options, **given)
    return made


MAKERS = {
    **{f"depthwise{rank}d": _depthwise for rank in (1, 2)},
    **{f"separable{rank}d": _separable for rank in (1, 2)},
    **{f"transposed{rank}d": _transposed for rank in (1, 2, 3)},
}
"""By kind, what makes the module."""
