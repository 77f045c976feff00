"""Passes: graphs that compute the same, in a form that targets can take.

Each pass is a function from Graph to Graph with one law: ``run(pass(g), x) == run(g, x)`` for every ``x``, bit for
bit, and a name that survives carries the same tensor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_hw._models import require_graph
from hgq_hw.passes._constants import fold_constants
from hgq_hw.passes._dead import mask_dead
from hgq_hw.passes._moves import drop_identities
from hgq_hw.passes._narrow import narrow
from hgq_hw.passes._scales import fold_scales
from hgq_hw.passes._transposes import cancel_transposes
from hgq_hw.passes._unroll import unroll

if TYPE_CHECKING:
    from collections.abc import Callable

    from hgq_core.graph import Graph

__all__ = [
    "PASSES",
    "cancel_transposes",
    "canonical",
    "drop_identities",
    "fold_constants",
    "fold_scales",
    "mask_dead",
    "narrow",
    "unroll",
]

PASSES: dict[str, Callable[[Graph], Graph]] = {
    "fold_constants": fold_constants,
    "mask_dead": mask_dead,
    "fold_scales": fold_scales,
    "drop_identities": drop_identities,
    "cancel_transposes": cancel_transposes,
    "narrow": narrow,
    "unroll": unroll,
}
"""Every pass by its name."""


def canonical(graph: Graph) -> Graph:
    """The graph in canonical form: constants and batch norms folded, no dead format, no idle node, narrow formats.

    Args:
        graph: any graph.

    Returns:
        A graph with the same inputs and outputs that computes the same bits. Its EBOPs may differ: report those of the
        original.

    >>> from hgq_core.formats import Formats
    >>> from hgq_core.graph import GraphBuilder
    >>> from hgq_core.graph.ops import Input, Reshape
    >>> builder = GraphBuilder()
    >>> x = builder.add(Input((4,), Formats.of(1, 2, 3)))
    >>> len(canonical(builder.build([builder.add(Reshape((4,)), builder.add(Reshape((2, 2)), x))])))
    1
    """
    require_graph(graph, "canonical")
    before = None
    while graph != before:
        before = graph
        graph = drop_identities(fold_scales(mask_dead(fold_constants(graph))))
    return narrow(graph)
