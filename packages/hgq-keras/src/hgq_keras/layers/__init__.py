"""Quantized Keras layers."""

from hgq_keras._quantizer import Quantizer
from hgq_keras.layers._attention import QMultiHeadAttention
from hgq_keras.layers._base import QLayer, quantized_layers
from hgq_keras.layers._conv import QConv1D, QConv2D
from hgq_keras.layers._linear import QDense, QEinsumDense
from hgq_keras.layers._lookup import QUnaryFunctionLUT
from hgq_keras.layers._merge import (
    QAdd,
    QAveragePow2,
    QConcatenate,
    QDot,
    QEinsum,
    QMaximum,
    QMinimum,
    QMultiply,
    QSubtract,
)
from hgq_keras.layers._norm import QBatchNormalization
from hgq_keras.layers._pooling import QAveragePooling2D, QMaxPooling2D
from hgq_keras.layers._reduce import QMeanPow2, QSum
from hgq_keras.layers._softmax import QSoftmax
from hgq_keras.layers._table import QDenseT, QEinsumDenseT

__all__ = [
    "QAdd",
    "QAveragePooling2D",
    "QAveragePow2",
    "QBatchNormalization",
    "QConcatenate",
    "QConv1D",
    "QConv2D",
    "QDense",
    "QDenseT",
    "QDot",
    "QEinsum",
    "QEinsumDense",
    "QEinsumDenseT",
    "QLayer",
    "QMaxPooling2D",
    "QMaximum",
    "QMeanPow2",
    "QMinimum",
    "QMultiHeadAttention",
    "QMultiply",
    "QSoftmax",
    "QSubtract",
    "QSum",
    "QUnaryFunctionLUT",
    "Quantizer",
    "quantized_layers",
]
