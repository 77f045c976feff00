"""What a quantizer means, as pure functions: mode, widths, range, the bits that it counts, what surrounds it."""

from hgq_core.quantizer.bits import counted, counted_bits, full_width
from hgq_core.quantizer.mode import Mode, mode_of
from hgq_core.quantizer.transform import transformed
from hgq_core.quantizer.widths import Width, declared, fraction, second, straight_through, width_names

__all__ = [
    "Mode",
    "Width",
    "counted",
    "counted_bits",
    "declared",
    "fraction",
    "full_width",
    "mode_of",
    "second",
    "straight_through",
    "transformed",
    "width_names",
]
