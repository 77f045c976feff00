"""The families of layers: for each, its cases, the declaration of each kind, by the words of `Layer`.

A module of a family has ``CASES``, by id the function that draws a case, and ``KINDS``, by kind the function from a
`Layer` to its declaration; its expected values are in `hgq_core.conformance.oracle`, which shares no code with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hgq_core.conformance.families import (
    activation,
    attention,
    convolutions,
    fused_norm,
    layer_norm,
    merge,
    recurrent,
    spiking,
    table,
    table_attention,
    windows,
)
from hgq_core.conformance.families.activation import activation_of

if TYPE_CHECKING:
    import numpy as np

    from hgq_core.conformance.backend import Layer
    from hgq_core.conformance.drawn import LayerCase
    from hgq_core.layers import Declaration

__all__ = ["CASES", "KINDS", "activation_of"]

CASES: dict[str, Callable[[np.random.Generator], LayerCase]] = {
    **activation.CASES,
    **attention.CASES,
    **fused_norm.CASES,
    **layer_norm.CASES,
    **merge.CASES,
    **windows.CASES,
    **convolutions.CASES,
    **table.CASES,
    **table_attention.CASES,
    **recurrent.CASES,
    **spiking.CASES,
}
"""The function that draws a case, by its id."""
KINDS: dict[str, Callable[[Layer], Declaration]] = {
    **activation.KINDS,
    **attention.KINDS,
    **fused_norm.KINDS,
    **layer_norm.KINDS,
    **merge.KINDS,
    **windows.KINDS,
    **convolutions.KINDS,
    **table.KINDS,
    **table_attention.KINDS,
    **recurrent.KINDS,
    **spiking.KINDS,
}
"""The declaration of a layer, by its kind."""
