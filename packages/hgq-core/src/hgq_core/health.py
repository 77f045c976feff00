"""Why a layer computes a constant: read from its program, the same whichever framework trained it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hgq_core.layers.emit import ExportedSlots
    from hgq_core.layers.program import Program

__all__ = ["cause_of_collapse", "collapse_message"]


def cause_of_collapse(program: Program, slots: ExportedSlots) -> str:
    """Why the result of a layer no longer depends on its input, in words; empty if it does.

    A layer has collapsed if all numbers of one of its kernels or scales are quantized to 0, or if no element of its
    inputs, or of another tensor of data inside, has a bit left: ``k + i + f <= 0``. Layers inside of it have causes of
    their own.

    Args:
        program: of the layer, built.
        slots: of the layer.
    """
    for name, slot in program.quantizers.items():
        if slot.constant and slot.place == "weight" and not np.any(slots.weight(name)):
            return f"every quantized weight{_inside(name)} is 0"
    inputs = [name for name in program.quantizers if name == "iq" or name.startswith("iq_")]
    if inputs and all(_is_silent(program, slots, name) for name in inputs):
        return "its quantized input is always 0"
    for name, slot in program.quantizers.items():
        if not slot.constant and name not in inputs and _is_silent(program, slots, name):
            return (
                "its quantized output is always 0" if name == "oq" else f"what its quantizer {name!r} gives is always 0"
            )
    return ""


def _is_silent(program: Program, slots: ExportedSlots, name: str) -> bool:
    """Whether every element of a fixed-point quantizer of data is dead."""
    formats = slots.exported(name, program.quantizers[name].shape).formats
    return formats is not None and bool(np.all(formats.width <= 0))


def _inside(name: str) -> str:
    path = name.rpartition("/")[0]
    return f" of its part {path!r}" if path else ""


def collapse_message(layer: str, cause: str) -> str:
    """The warning of a layer that has collapsed.

    >>> collapse_message("dense", "every quantized weight is 0")
    "layer 'dense' has collapsed: every quantized weight is 0 and its output is constant. Lower beta, raise the widths \
(b0, f0, or a lower bound of the constraint bc), or restore an earlier epoch"
    """
    return (
        f"layer {layer!r} has collapsed: {cause} and its output is constant. Lower beta, raise the widths "
        "(b0, f0, or a lower bound of the constraint bc), or restore an earlier epoch"
    )
