"""From the Graph to an hls4ml project: layer records for `ModelGraph.from_layer_list`, every type proved beforehand.

Importing this package does not import hls4ml; `lower` does.
"""

from hgq_hw.hls4ml.model import HLSModel, lower

__all__ = ["HLSModel", "lower"]
