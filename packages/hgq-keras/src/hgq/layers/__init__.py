"""Every layer under both of its names, `QDense` and `Dense`; everything lives in hgq_keras."""

from hgq_keras._quantizer import Quantizer
from hgq_keras.layers import (
    QAdd,
    QAveragePooling2D,
    QAveragePow2,
    QBatchNormalization,
    QConcatenate,
    QConv1D,
    QConv2D,
    QDense,
    QDenseT,
    QDot,
    QEinsum,
    QEinsumDense,
    QEinsumDenseT,
    QLayer,
    QMaximum,
    QMaxPooling2D,
    QMeanPow2,
    QMinimum,
    QMultiHeadAttention,
    QMultiply,
    QSoftmax,
    QSubtract,
    QSum,
    QUnaryFunctionLUT,
)
from hgq_keras.layers import QAdd as Add
from hgq_keras.layers import QAveragePooling2D as AveragePooling2D
from hgq_keras.layers import QAveragePooling2D as AvgPool2D
from hgq_keras.layers import QAveragePooling2D as QAvgPool2D
from hgq_keras.layers import QAveragePow2 as AveragePow2
from hgq_keras.layers import QBatchNormalization as BatchNormalization
from hgq_keras.layers import QConcatenate as Concatenate
from hgq_keras.layers import QConv1D as Conv1D
from hgq_keras.layers import QConv2D as Conv2D
from hgq_keras.layers import QDense as Dense
from hgq_keras.layers import QDenseT as DenseT
from hgq_keras.layers import QDot as Dot
from hgq_keras.layers import QEinsum as Einsum
from hgq_keras.layers import QEinsumDense as EinsumDense
from hgq_keras.layers import QEinsumDenseT as EinsumDenseT
from hgq_keras.layers import QMaximum as Maximum
from hgq_keras.layers import QMaxPooling2D as MaxPool2D
from hgq_keras.layers import QMaxPooling2D as MaxPooling2D
from hgq_keras.layers import QMaxPooling2D as QMaxPool2D
from hgq_keras.layers import QMeanPow2 as MeanPow2
from hgq_keras.layers import QMinimum as Minimum
from hgq_keras.layers import QMultiHeadAttention as MultiHeadAttention
from hgq_keras.layers import QMultiply as Multiply
from hgq_keras.layers import QSoftmax as Softmax
from hgq_keras.layers import QSubtract as Subtract
from hgq_keras.layers import QSum as Sum
from hgq_keras.layers import QUnaryFunctionLUT as UnaryFunctionLUT

__all__ = [
    "Add",
    "AveragePooling2D",
    "AveragePow2",
    "AvgPool2D",
    "BatchNormalization",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "Dense",
    "DenseT",
    "Dot",
    "Einsum",
    "EinsumDense",
    "EinsumDenseT",
    "MaxPool2D",
    "MaxPooling2D",
    "Maximum",
    "MeanPow2",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "QAdd",
    "QAveragePooling2D",
    "QAveragePow2",
    "QAvgPool2D",
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
    "QMaxPool2D",
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
    "Softmax",
    "Subtract",
    "Sum",
    "UnaryFunctionLUT",
]
