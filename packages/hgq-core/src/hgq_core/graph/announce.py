"""What a front end says when it exports a model whose own floating-point arithmetic is not exact."""

from __future__ import annotations

import warnings
from math import prod
from typing import TYPE_CHECKING

from hgq_core.errors import PrecisionWarning
from hgq_core.graph import ops as op
from hgq_core.graph.prove import prove

if TYPE_CHECKING:
    from hgq_core.graph.ir import Graph, Node

__all__ = ["warn_if_inexact"]

_NAMES = {24: "float32", 53: "float64"}
_MOST = 5 * 10**7
"""Products that the prover follows within some ten seconds."""


def warn_if_inexact(graph: Graph, *, bits: int = 24, stacklevel: int = 1) -> bool:
    """Warn once, naming the node that is farthest from exact, if floats of ``bits`` may round in this graph.

    The Graph is exact in any case; it is the model in its framework that may then differ from it, and from hardware.
    A graph of more than 50 million products is not looked through, and the warning says so.

    Args:
        graph: a Graph.
        bits: significand bits of the model's arithmetic: 24 for float32, 53 for float64.
        stacklevel: as of ``warnings.warn``, counted from the caller: 1 is the line that calls this function.

    Returns:
        Whether it warned.

    Raises:
        GraphError: arithmetic on a number before any quantizer.

    >>> from hgq_core.formats import Formats
    >>> from hgq_core.graph import GraphBuilder
    >>> builder = GraphBuilder()
    >>> x = builder.add(op.Input((2,), Formats.of(1, 12, 10)))
    >>> graph = builder.build([builder.add(op.Multiply(), x, x)])
    >>> warn_if_inexact(graph, bits=53)
    False
    """
    name = _NAMES.get(bits, f"arithmetic of {bits} bits")
    products = sum(_products(graph, node) for node in graph)
    if products > _MOST:
        message = (
            f"the graph has {products} products, so that it was not checked whether {name} computes the model exactly; "
            "hgq_core.graph.prove(graph) tells, in some time"
        )
        warnings.warn(message, PrecisionWarning, stacklevel=stacklevel + 1)
        return True
    proof = prove(graph)
    if proof.exact_in(bits):
        return False
    worst = graph[max(proof.bits, key=lambda node: proof.bits[node])]
    others = len({graph[node].label for node, needed in proof.bits.items() if needed > bits} - {worst.label})
    if proof.bits[worst.name] > bits:
        found = f"needs {proof.bits[worst.name]} bits where {name} has {bits}"
        remedy = "narrow its inputs or weights (a smaller f0 or b0, or constraints), or scale the data down"
    else:
        worst = graph[max(proof.exponents, key=lambda node: _reach(proof.exponents[node]))]
        low, high = proof.exponents[worst.name]
        found = f"spans 2**{low} to 2**{high}, beyond the numbers of {name}"
        remedy = "scale the data or the weights"
    more = f", and {others} more layers need too many" if others else ""
    message = (
        f"{name} may round in this model: layer {worst.label!r} (node {worst.name!r}) {found}{more}. The graph is "
        f"exact, as hardware is; what the model itself computes may differ from it in the last bits: {remedy}"
    )
    warnings.warn(message, PrecisionWarning, stacklevel=stacklevel + 1)
    return True


def _reach(exponents: tuple[int, int]) -> int:
    return max(-exponents[0], exponents[1])


def _products(graph: Graph, node: Node) -> int:
    """Multiplications of a contraction or convolution."""
    if isinstance(node.op, op.Contract):
        sizes: dict[str, int] = {}
        for term, operand in zip(node.op.terms, node.inputs, strict=False):
            shape = graph[operand].shape  # without the batch axis, which comes first
            sizes |= zip(term[len(term) - len(shape) :], shape, strict=True)
        return prod(sizes.values())
    if isinstance(node.op, op.Convolve):
        kernel = graph[node.inputs[1]].shape
        positions = graph[node.inputs[0]].shape[:-1] if node.op.transposed else node.shape[:-1]
        return prod(positions) * prod(kernel)
    return 0
