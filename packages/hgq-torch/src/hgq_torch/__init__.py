"""Trainable bit-widths for PyTorch modules."""

from importlib.metadata import version

from hgq_core.errors import HGQError
from hgq_core.scope import LayerConfigScope, QuantizerConfigScope
from hgq_torch import nn
from hgq_torch._calibrate import calibrate, calibrating
from hgq_torch._dead import dead_layers, uncalibrated, warn_if_dead
from hgq_torch._ebops import ebops, ebops_by_layer, ebops_loss, set_beta
from hgq_torch._export import to_graph
from hgq_torch._from_graph import from_graph
from hgq_torch._groups import parameter_groups
from hgq_torch._lazy import build
from hgq_torch._parallel import synchronize
from hgq_torch._presets import HardSigmoidConfig, HardTanhConfig
from hgq_torch._quantizer import Mode, Quantizer

__all__ = [
    "HGQError",
    "HardSigmoidConfig",
    "HardTanhConfig",
    "LayerConfigScope",
    "Mode",
    "Quantizer",
    "QuantizerConfigScope",
    "__version__",
    "build",
    "calibrate",
    "calibrating",
    "dead_layers",
    "ebops",
    "ebops_by_layer",
    "ebops_loss",
    "from_graph",
    "nn",
    "parameter_groups",
    "set_beta",
    "synchronize",
    "to_graph",
    "uncalibrated",
    "warn_if_dead",
]

__version__ = version("hgq-torch")
