"""Quantized Keras layers."""

from hgq_keras._quantizer import Quantizer
from hgq_keras.layers._attention import QMultiHeadAttention
from hgq_keras.layers._base import QLayer, quantized_layers
from hgq_keras.layers._conv import QConv1D, QConv2D, QConv3D
from hgq_keras.layers._conv_norm import QConv1DBatchNorm, QConv2DBatchNorm, QConv3DBatchNorm
from hgq_keras.layers._depthwise import QDepthwiseConv1D, QDepthwiseConv2D
from hgq_keras.layers._fused_norm import QBatchNormDense, QEinsumDenseBatchnorm
from hgq_keras.layers._global_pooling import (
    QGlobalAveragePooling1D,
    QGlobalAveragePooling2D,
    QGlobalAveragePooling3D,
    QGlobalMaxPooling1D,
    QGlobalMaxPooling2D,
    QGlobalMaxPooling3D,
)
from hgq_keras.layers._gru import QGRU, QGRUCell
from hgq_keras.layers._layer_norm import QLayerNormalization, QRMSNormalization
from hgq_keras.layers._lif import QLIF, QLIFCell
from hgq_keras.layers._linear import QDense, QEinsumDense
from hgq_keras.layers._linformer import QLinformerAttention
from hgq_keras.layers._lookup import QAffinedUnaryFunctionLUT, QUnaryFunctionLUT
from hgq_keras.layers._lstm import QLSTM, QLSTMCell
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
from hgq_keras.layers._plain_spikes import LIFCell, SpikingNeuralCell
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
from hgq_keras.layers._separable import QSeparableConv1D, QSeparableConv2D
from hgq_keras.layers._simple_rnn import QSimpleRNN, QSimpleRNNCell
from hgq_keras.layers._snn import QSimpleSNN, QSimpleSNNCell
from hgq_keras.layers._softmax import QSoftmax
from hgq_keras.layers._spikes import ATan, atan
from hgq_keras.layers._table import QDenseT, QEinsumDenseT
from hgq_keras.layers._table_attention import QMultiHeadAttentionT
from hgq_keras.layers._table_conv import QConvT1D, QConvT2D
from hgq_keras.layers._table_linformer import QLinformerAttentionT
from hgq_keras.layers._transposed import QConv1DTranspose, QConv2DTranspose, QConv3DTranspose

__all__ = [
    "QGRU",
    "QLIF",
    "QLSTM",
    "ATan",
    "LIFCell",
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
    "QConv1DTranspose",
    "QConv2D",
    "QConv2DBatchNorm",
    "QConv2DTranspose",
    "QConv3D",
    "QConv3DBatchNorm",
    "QConv3DTranspose",
    "QConvT1D",
    "QConvT2D",
    "QDense",
    "QDenseT",
    "QDepthwiseConv1D",
    "QDepthwiseConv2D",
    "QDot",
    "QEinsum",
    "QEinsumDense",
    "QEinsumDenseBatchnorm",
    "QEinsumDenseT",
    "QGRUCell",
    "QGlobalAveragePooling1D",
    "QGlobalAveragePooling2D",
    "QGlobalAveragePooling3D",
    "QGlobalMaxPooling1D",
    "QGlobalMaxPooling2D",
    "QGlobalMaxPooling3D",
    "QLIFCell",
    "QLSTMCell",
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
    "QSeparableConv1D",
    "QSeparableConv2D",
    "QSimpleRNN",
    "QSimpleRNNCell",
    "QSimpleSNN",
    "QSimpleSNNCell",
    "QSoftmax",
    "QSubtract",
    "QSum",
    "QUnaryFunctionLUT",
    "Quantizer",
    "SpikingNeuralCell",
    "atan",
    "quantized_layers",
]
