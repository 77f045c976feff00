"""A graph rewritten so that hls4ml has a layer for every node. Each rewriting is exact: ``run`` gives the same numbers.

What hls4ml knows is left alone. The rest is expressed with it: moves by constant matrices of zeros and ones (wires in
hardware), a clip by two rectifiers, a grouped or dilated convolution by a plain one with zeros in its kernel.
"""

from hgq_hw.hls4ml.legal._legalize import Legal, legalize
from hgq_hw.hls4ml.legal._rules import RULES

__all__ = ["RULES", "Legal", "legalize"]
