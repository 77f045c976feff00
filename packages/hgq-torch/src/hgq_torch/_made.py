"""What a module was made into from its declaration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hgq_core.scope import KeptScope
from hgq_torch._start import Start

if TYPE_CHECKING:
    from hgq_core.graph.ops import Shape
    from hgq_core.layers import Program, WeightSlot
    from hgq_torch._make import QuantizerLike
    from hgq_torch._slots import Layout, Turn
    from hgq_torch.kernels.fuse import Pattern

__all__ = ["Made"]


@dataclass(eq=False)
class Made:
    """The slots of a module and the programs that are read on them, behind one name of the module.

    Attributes:
        given: what the user gave for quantizers, by slot.
        counts: whether the user asked for EBOPs.
        storage: how each weight is stored, by slot.
        turns: how the axes of a weight that a quantizer sees are turned, by slot of the quantizer.
        weights: slots of weights.
        quantizers: slots whose quantizers exist.
        weight_quantizers: those of them that quantize weights.
        paths: path of each module inside, by the name that the declaration calls it by.
        traced: the declaration, traced for the data or, in a constructor, for the smallest shapes that it takes.
        program: traced for the data; None before.
        running: the program as the forward pass reads it.
        pattern: the pattern that is all of the program that costs EBOPs, if there is one.
        built_for: shapes of the data, without batch axis; None before they are known.
        start: whether widths of kernels are still to be judged.
        written_in: the defaults of the place where the module is written, of quantizers that are made when it is built.
    """

    given: dict[str, QuantizerLike]
    counts: bool
    storage: dict[str, Layout] = field(default_factory=dict)
    turns: dict[str, Turn] = field(default_factory=dict)
    weights: dict[str, WeightSlot] = field(default_factory=dict)
    quantizers: set[str] = field(default_factory=set)
    weight_quantizers: tuple[str, ...] = ()
    paths: dict[str, str] = field(default_factory=dict)
    traced: Program | None = None
    program: Program | None = None
    running: Program | None = None
    pattern: Pattern | None = None
    built_for: tuple[Shape, ...] | None = None
    start: Start = field(default_factory=Start)
    written_in: KeptScope = field(default_factory=KeptScope)
