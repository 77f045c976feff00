"""Every layer under both of its names, `QDense` and `Dense`; everything lives in hgq_keras."""

from hgq_keras._quantizer import Quantizer
from hgq_keras.layers import (
    QAdd,
    QAveragePooling2D,
    QBatchNormalization,
    QConv1D,
    QConv2D,
    QDense,
    QEinsumDense,
    QLayer,
    QMaxPooling2D,
    QSoftmax,
    QUnaryFunctionLUT,
)
from hgq_keras.layers import QAdd as Add
from hgq_keras.layers import QAveragePooling2D as AveragePooling2D
from hgq_keras.layers import QAveragePooling2D as AvgPool2D
from hgq_keras.layers import QAveragePooling2D as QAvgPool2D
from hgq_keras.layers import QBatchNormalization as BatchNormalization
from hgq_keras.layers import QConv1D as Conv1D
from hgq_keras.layers import QConv2D as Conv2D
from hgq_keras.layers import QDense as Dense
from hgq_keras.layers import QEinsumDense as EinsumDense
from hgq_keras.layers import QMaxPooling2D as MaxPool2D
from hgq_keras.layers import QMaxPooling2D as MaxPooling2D
from hgq_keras.layers import QMaxPooling2D as QMaxPool2D
from hgq_keras.layers import QSoftmax as Softmax
from hgq_keras.layers import QUnaryFunctionLUT as UnaryFunctionLUT

__all__ = [
    "Add",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "Conv1D",
    "Conv2D",
    "Dense",
    "EinsumDense",
    "MaxPool2D",
    "MaxPooling2D",
    "QAdd",
    "QAveragePooling2D",
    "QAvgPool2D",
    "QBatchNormalization",
    "QConv1D",
    "QConv2D",
    "QDense",
    "QEinsumDense",
    "QLayer",
    "QMaxPool2D",
    "QMaxPooling2D",
    "QSoftmax",
    "QUnaryFunctionLUT",
    "Quantizer",
    "Softmax",
    "UnaryFunctionLUT",
]
