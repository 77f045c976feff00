"""The layer records that `ModelGraph.from_layer_list` reads, one for every node of a legal graph, and their types.

Every type is what the prover found, so no arithmetic in the project can overflow or round except where a quantizer says
so.
"""

from hgq_hw.hls4ml.records._records import records
from hgq_hw.hls4ml.records._rules import LAYERS
from hgq_hw.hls4ml.records._writer import Options, Records

__all__ = ["LAYERS", "Options", "Records", "records"]
