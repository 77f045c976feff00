"""Numbers, cost and the Graph of High Granularity Quantization, in NumPy alone."""

from importlib.metadata import version

from hgq_core.errors import HGQError, HGQWarning
from hgq_core.formats import FixedPoint, Formats, MiniFloat
from hgq_core.granularity import Granularity
from hgq_core.modes import Overflow, Round
from hgq_core.scope import LayerConfigScope, QuantizerConfigScope
from hgq_core.spec import KBI, KIF, Bounds, Dummy, Float

__all__ = [
    "KBI",
    "KIF",
    "Bounds",
    "Dummy",
    "FixedPoint",
    "Float",
    "Formats",
    "Granularity",
    "HGQError",
    "HGQWarning",
    "LayerConfigScope",
    "MiniFloat",
    "Overflow",
    "QuantizerConfigScope",
    "Round",
    "__version__",
]

__version__ = version("hgq-core")
