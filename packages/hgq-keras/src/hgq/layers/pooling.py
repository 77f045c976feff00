"""Pooling; everything lives in hgq_keras."""

from hgq_keras.layers import (
    QAveragePooling1D,
    QAveragePooling2D,
    QAveragePooling3D,
    QGlobalAveragePooling1D,
    QGlobalAveragePooling2D,
    QGlobalAveragePooling3D,
    QGlobalMaxPooling1D,
    QGlobalMaxPooling2D,
    QGlobalMaxPooling3D,
    QMaxPooling1D,
    QMaxPooling2D,
    QMaxPooling3D,
)
from hgq_keras.layers import QAveragePooling1D as QAvgPool1D
from hgq_keras.layers import QAveragePooling2D as QAvgPool2D
from hgq_keras.layers import QAveragePooling3D as QAvgPool3D
from hgq_keras.layers import QGlobalAveragePooling1D as QGlobalAvgPool1D
from hgq_keras.layers import QGlobalAveragePooling2D as QGlobalAvgPool2D
from hgq_keras.layers import QGlobalAveragePooling3D as QGlobalAvgPool3D
from hgq_keras.layers import QGlobalMaxPooling1D as QGlobalMaxPool1D
from hgq_keras.layers import QGlobalMaxPooling2D as QGlobalMaxPool2D
from hgq_keras.layers import QGlobalMaxPooling3D as QGlobalMaxPool3D
from hgq_keras.layers import QMaxPooling1D as QMaxPool1D
from hgq_keras.layers import QMaxPooling2D as QMaxPool2D
from hgq_keras.layers import QMaxPooling3D as QMaxPool3D

__all__ = [
    "QAveragePooling1D",
    "QAveragePooling2D",
    "QAveragePooling3D",
    "QAvgPool1D",
    "QAvgPool2D",
    "QAvgPool3D",
    "QGlobalAveragePooling1D",
    "QGlobalAveragePooling2D",
    "QGlobalAveragePooling3D",
    "QGlobalAvgPool1D",
    "QGlobalAvgPool2D",
    "QGlobalAvgPool3D",
    "QGlobalMaxPool1D",
    "QGlobalMaxPool2D",
    "QGlobalMaxPool3D",
    "QGlobalMaxPooling1D",
    "QGlobalMaxPooling2D",
    "QGlobalMaxPooling3D",
    "QMaxPool1D",
    "QMaxPool2D",
    "QMaxPool3D",
    "QMaxPooling1D",
    "QMaxPooling2D",
    "QMaxPooling3D",
]
