"""High Granularity Quantization for Keras 3, on TensorFlow, JAX and PyTorch."""

from importlib.metadata import version

from hgq_keras import layers
from hgq_keras._beta import set_beta
from hgq_keras._calibrate import calibrate, calibrating, trace_minmax
from hgq_keras._calibrated import uncalibrated
from hgq_keras._calls import ebops, ebops_by_layer
from hgq_keras._dataset import Dataset
from hgq_keras._decay import width_variables
from hgq_keras._export import to_graph
from hgq_keras._health import dead_layers, warn_if_dead
from hgq_keras._quantizer import Quantizer
from hgq_keras._saving import load_model, save_model
from hgq_keras.config import HardSigmoidConfig, HardTanhConfig, LayerConfigScope, QuantizerConfig, QuantizerConfigScope
from hgq_keras.layers import quantized_layers

__all__ = [
    "Dataset",
    "HardSigmoidConfig",
    "HardTanhConfig",
    "LayerConfigScope",
    "Quantizer",
    "QuantizerConfig",
    "QuantizerConfigScope",
    "__version__",
    "calibrate",
    "calibrating",
    "dead_layers",
    "ebops",
    "ebops_by_layer",
    "layers",
    "load_model",
    "quantized_layers",
    "save_model",
    "set_beta",
    "to_graph",
    "trace_minmax",
    "uncalibrated",
    "warn_if_dead",
    "width_variables",
]

__version__ = version("hgq-keras")
