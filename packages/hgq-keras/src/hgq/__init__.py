"""The names that users know; everything lives in hgq_keras."""

from hgq import callbacks, config, constraints, layers, quantizer, quantizers, regularizers, utils
from hgq_keras import __version__
from hgq_keras import _peer as _peer

__all__ = [
    "__version__",
    "callbacks",
    "config",
    "constraints",
    "layers",
    "quantizer",
    "quantizers",
    "regularizers",
    "utils",
]
