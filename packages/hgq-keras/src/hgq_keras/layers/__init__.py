"""Quantized Keras layers."""

from hgq_keras._quantizer import Quantizer
from hgq_keras.layers._attention import QMultiHeadAttention
from hgq_keras.layers._base import QLayer, quantized_layers
from hgq_keras.layers._conv import QConv1D, QConv2D, QConv3D
from hgq_keras.layers._conv_norm import QConv1DBatchNorm, QConv2DBatchNorm, QConv3DBatchNorm
from hgq_keras.layers._fused_norm import QBatchNormDense, QEinsumDenseBatchnorm
from hgq_keras.layers._global_pooling import (
    QGlobalAveragePooling1D,
    QGlobalAveragePooling2D,
    QGlobalAveragePooling3D,
    QGlobalMaxPooling1D,
    QGlobalMaxPooling2D,
    QGlobalMaxPooling3D,
)
from hgq_keras.layers._layer_norm import QLayerNormalization, QRMSNormalization
from hgq_keras.layers._linear import QDense, QEinsumDense
from hgq_keras.layers._linformer import QLinformerAttention
from hgq_keras.layers._lookup import QAffinedUnaryFunctionLUT, QUnaryFunctionLUT
from hgq_keras.layers._merge import (
    QAdd,
    QAveragePow2,
    QConcatenate,
    QMaximum,
    QMinimum,
    QMultiply,
    QSubtract,
)
from hgq_keras.layers._norm import QBatchNormalization
from hgq_keras.layers._pooling import (
    QAveragePooling1D,
    QAveragePooling2D,
    QAveragePooling3D,
    QMaxPooling1D,
    QMaxPooling2D,
    QMaxPooling3D,
)
from hgq_keras.layers._products import QDot, QEinsum
from hgq_keras.layers._reduce import QMeanPow2, QSum
from hgq_keras.layers._softmax import QSoftmax
from hgq_keras.layers._table import QDenseT, QEinsumDenseT
from hgq_keras.layers._table_attention import QMultiHeadAttentionT
from hgq_keras.layers._table_conv import QConvT1D, QConvT2D
from hgq_keras.layers._table_linformer import QLinformerAttentionT

__all__ = [
    "QAdd",
    "QAffinedUnaryFunctionLUT",
    "QAveragePooling1D",
    "QAveragePooling2D",
    "QAveragePooling3D",
    "QAveragePow2",
    "QBatchNormDense",
    "QBatchNormalization",
    "QConcatenate",
    "QConv1D",
    "QConv1DBatchNorm",
    "QConv2D",
    "QConv2DBatchNorm",
    "QConv3D",
    "QConv3DBatchNorm",
    "QConvT1D",
    "QConvT2D",
    "QDense",
    "QDenseT",
    "QDot",
    "QEinsum",
    "QEinsumDense",
    "QEinsumDenseBatchnorm",
    "QEinsumDenseT",
    "QGlobalAveragePooling1D",
    "QGlobalAveragePooling2D",
    "QGlobalAveragePooling3D",
    "QGlobalMaxPooling1D",
    "QGlobalMaxPooling2D",
    "QGlobalMaxPooling3D",
    "QLayer",
    "QLayerNormalization",
    "QLinformerAttention",
    "QLinformerAttentionT",
    "QMaxPooling1D",
    "QMaxPooling2D",
    "QMaxPooling3D",
    "QMaximum",
    "QMeanPow2",
    "QMinimum",
    "QMultiHeadAttention",
    "QMultiHeadAttentionT",
    "QMultiply",
    "QRMSNormalization",
    "QSoftmax",
    "QSubtract",
    "QSum",
    "QUnaryFunctionLUT",
    "Quantizer",
    "quantized_layers",
]
