"""The Graph: the hand-over between training and everything after it."""

from hgq_core.graph.announce import warn_if_inexact
from hgq_core.graph.emit import add_quantizer
from hgq_core.graph.ir import Graph, GraphBuilder, Node
from hgq_core.graph.prove import Finding, Proof, prove
from hgq_core.graph.real import acts_on_real, real_tensors
from hgq_core.graph.run import run
from hgq_core.graph.save import load, save
from hgq_core.graph.witness import witness

__all__ = [
    "Finding",
    "Graph",
    "GraphBuilder",
    "Node",
    "Proof",
    "acts_on_real",
    "add_quantizer",
    "load",
    "prove",
    "real_tensors",
    "run",
    "save",
    "warn_if_inexact",
    "witness",
]
