"""Dead elements: a format without bits becomes a live one whose value is multiplied by 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hgq_core.formats import Formats
from hgq_core.graph.ops import Constant, Multiply, Quantize
from hgq_core.modes import Overflow
from hgq_hw.passes._rewrite import rewrite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hgq_core.graph import Graph, Node
    from hgq_hw.passes._rewrite import Editor

__all__ = ["dead_elements", "mask_dead"]


def dead_elements(op: Quantize) -> NDArray[np.bool_]:
    """Where the quantizer gives nothing but 0: no bits, or only a sign bit under SAT_SYM, on which targets differ."""
    formats = op.formats
    only_sign = (op.overflow is Overflow.SAT_SYM) & (formats.k == 1) & (formats.i + formats.f == 0)
    return np.asarray(~formats.alive | only_sign)


def mask_dead(graph: Graph) -> Graph:
    """Give dead elements the format ``k, i, f = 0, 1, 0`` and multiply them by 0.

    `fold_scales` then moves the zeros into the kernel that follows, so that the dead elements are no longer read at
    all.
    """
    return rewrite(graph, _rule)


def _rule(editor: Editor, node: Node) -> bool:
    if not isinstance(node.op, Quantize):
        return False
    dead = dead_elements(node.op)
    if not dead.any():
        return False
    formats = node.op.formats
    live = Formats(np.where(dead, 0, formats.k), np.where(dead, 1, formats.i), np.where(dead, 0, formats.f))
    quantized = editor.helper(node, Quantize(live, node.op.round, node.op.overflow), *node.inputs, suffix="live")
    # The mask must not broadcast the tensor: it has at most the rank of the formats, which fit the tensor's shape.
    mask = editor.helper(node, Constant.of(np.where(dead, 0.0, 1.0)), suffix="mask")
    editor.keep(node, Multiply(), (quantized, mask))
    return True
