"""What hls4ml loads by itself: its own ``convert_from_keras_model`` then takes models of hgq-keras.

hls4ml asks a handler for the records of every layer, one layer at a time, so that no handler knows the formats around
it. The handlers here therefore keep a layer's place only. When all layers are there, a pass, the first that changes
anything, writes the records of the whole model in their place: those of `hgq_hw.hls4ml.lower`, with the same proved
types. Models without a layer of hgq-keras are left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_hw._models import is_hgq_keras
from hgq_hw.hls4ml.handover import rewrite

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["register"]

LAYERS = {
    "hgq_keras.layers._attention": ("QMultiHeadAttention",),
    "hgq_keras.layers._conv": (
        "QConv1D",
        "QConv2D",
        "QConv3D",
    ),
    "hgq_keras.layers._conv_norm": (
        "QConv1DBatchNorm",
        "QConv2DBatchNorm",
        "QConv3DBatchNorm",
    ),
    "hgq_keras.layers._depthwise": (
        "QDepthwiseConv1D",
        "QDepthwiseConv2D",
    ),
    "hgq_keras.layers._fused_norm": (
        "QBatchNormDense",
        "QEinsumDenseBatchnorm",
    ),
    "hgq_keras.layers._global_pooling": (
        "QGlobalAveragePooling1D",
        "QGlobalAveragePooling2D",
        "QGlobalAveragePooling3D",
        "QGlobalMaxPooling1D",
        "QGlobalMaxPooling2D",
        "QGlobalMaxPooling3D",
    ),
    "hgq_keras.layers._layer_norm": (
        "QLayerNormalization",
        "QRMSNormalization",
    ),
    "hgq_keras.layers._linear": (
        "QDense",
        "QEinsumDense",
    ),
    "hgq_keras.layers._linformer": ("QLinformerAttention",),
    "hgq_keras.layers._lookup": (
        "QAffinedUnaryFunctionLUT",
        "QUnaryFunctionLUT",
    ),
    "hgq_keras.layers._merge": (
        "QAdd",
        "QAveragePow2",
        "QConcatenate",
        "QMaximum",
        "QMinimum",
        "QMultiply",
        "QSubtract",
    ),
    "hgq_keras.layers._norm": ("QBatchNormalization",),
    "hgq_keras.layers._pooling": (
        "QAveragePooling1D",
        "QAveragePooling2D",
        "QAveragePooling3D",
        "QMaxPooling1D",
        "QMaxPooling2D",
        "QMaxPooling3D",
    ),
    "hgq_keras.layers._products": (
        "QDot",
        "QEinsum",
    ),
    "hgq_keras.layers._reduce": (
        "QMeanPow2",
        "QSum",
    ),
    "hgq_keras.layers._separable": (
        "QSeparableConv1D",
        "QSeparableConv2D",
    ),
    "hgq_keras.layers._softmax": ("QSoftmax",),
    "hgq_keras.layers._table": (
        "QDenseT",
        "QEinsumDenseT",
    ),
    "hgq_keras.layers._transposed": (
        "QConv1DTranspose",
        "QConv2DTranspose",
        "QConv3DTranspose",
    ),
    "hgq_keras.layers._simple_rnn": ("QSimpleRNN", "QSimpleRNNCell"),
    "hgq_keras.layers._gru": ("QGRU", "QGRUCell"),
    "hgq_keras.layers._lstm": ("QLSTM", "QLSTMCell"),
    "hgq_keras.layers._snn": ("QSimpleSNN", "QSimpleSNNCell"),
    "hgq_keras.layers._lif": ("QLIF", "QLIFCell"),
    "hgq_keras.layers._plain_spikes": ("LIFCell", "SpikingNeuralCell"),
    "hgq_keras.layers._table_attention": ("QMultiHeadAttentionT",),
    "hgq_keras.layers._table_conv": (
        "QConvT1D",
        "QConvT2D",
    ),
    "hgq_keras.layers._table_linformer": ("QLinformerAttentionT",),
    "hgq_keras._quantizer": ("Quantizer",),
}
"""Where hgq-keras defines its layers: hls4ml looks a handler up by module and class."""

_MODELS = ("Functional", "Sequential")
_PLAIN = ("Cropping1D", "Cropping2D", "Cropping3D", "RepeatVector", "UpSampling1D", "UpSampling3D", "ZeroPadding3D")
"""Layers of Keras that hls4ml has no handler for; by themselves they are refused as before."""

PLACE = "HGQLayer"
"""Name of the layer that keeps a place."""

_PASS = "hgq_graph"  # noqa: S105 (no password)


def register(**_given: Any) -> None:
    """Register handlers, the layer that keeps a place, and the pass; hls4ml calls it while it is imported."""
    from hls4ml.converters.keras_v3._base import KerasV3LayerHandler, registry
    from hls4ml.model.flow.flow import update_flow
    from hls4ml.model.layers import Layer, register_layer
    from hls4ml.model.optimizer import ModelOptimizerPass, register_pass

    class HGQLayer(Layer):  # type: ignore[misc]  # hls4ml has no type hints
        def initialize(self) -> None:
            self.add_output_variable(self.attributes["output_shape"])

    class Keep(KerasV3LayerHandler):  # type: ignore[misc]
        handles = (*(f"{module}.{name}" for module, names in LAYERS.items() for name in names), *_PLAIN)

        def __call__(self, layer: Any, in_tensors: Sequence[Any], out_tensors: Sequence[Any]) -> Any:
            return (
                {
                    "name": layer.name,
                    "class_name": PLACE,
                    "original": type(layer).__name__,
                    "input_keras_tensor_names": [tensor.name for tensor in in_tensors],
                    "output_keras_tensor_names": [tensor.name for tensor in out_tensors],
                    "output_shape": [int(n) for n in out_tensors[0].shape[1:]] or [1],
                },
            )

    class KeepModel(Keep):
        handles = tuple(name for name in _MODELS if name not in registry)

        def __call__(self, layer: Any, in_tensors: Sequence[Any], out_tensors: Sequence[Any]) -> Any:
            return super().__call__(layer, in_tensors, out_tensors) if is_hgq_keras(layer) else None

    class HGQGraph(ModelOptimizerPass):  # type: ignore[misc]
        def __init__(self) -> None:
            self.name = _PASS

        def transform(self, model: Any) -> bool:
            return rewrite(model, PLACE)

    register_layer(PLACE, HGQLayer)
    register_pass(_PASS, HGQGraph)
    update_flow("parse_qonnx", add_optimizers=[_PASS])  # the flow before all others
