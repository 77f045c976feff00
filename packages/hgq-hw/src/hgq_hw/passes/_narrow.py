"""Narrows quantizers to what can reach them, as the prover shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hgq_core.formats import Formats
from hgq_core.graph import prove
from hgq_core.graph.ops import Quantize
from hgq_hw.passes._rewrite import rewrite

if TYPE_CHECKING:
    from hgq_core.graph import Graph, Node
    from hgq_hw.passes._rewrite import Editor

__all__ = ["narrow"]


def narrow(graph: Graph) -> Graph:
    """Leave out quantizers that change nothing, and give the others the narrowest formats of their results.

    A quantizer is narrowed where its input, rounded, always lies inside of its format: then no overflow mode ever
    acts, and a format that still holds every result gives the same bits.
    """
    proof = prove(graph)

    def rule(editor: Editor, node: Node) -> bool:
        if not isinstance(node.op, Quantize) or node.inputs[0] not in proof.formats:
            return False
        given = proof.formats[node.inputs[0]].broadcast_to(node.shape)
        have = node.op.formats.broadcast_to(node.shape)
        dead = have.width <= 0
        fits = (given.k <= have.k) & (given.i <= have.i) & (given.f <= have.f) & ~dead | (given.width == 0)
        # SAT_SYM also refuses the lowest number of its own format.
        if node.op.overflow == "SAT_SYM":
            fits &= (given.k == 0) | (given.i < have.i) | (given.width == 0)
        if fits.all():
            editor.redirect(node, node.inputs[0])
            return True
        # Rounding reaches at most one bit further; a format with room for that never overflows.
        roomy = (given.k <= have.k) & (given.i < have.i) & ~dead
        result = proof.formats[node.name].broadcast_to(node.shape)
        keep = roomy & (result.width > 0)
        formats = Formats(
            np.where(keep, np.minimum(result.k, have.k), have.k),
            np.where(keep, np.minimum(result.i + (node.op.overflow == "SAT_SYM"), have.i), have.i),
            np.where(keep, np.minimum(result.f, have.f), have.f),
        )
        if formats == have:
            return False
        editor.keep(node, Quantize(formats, node.op.round, node.op.overflow))
        return True

    return rewrite(graph, rule)
