"""Layers by the module that users know; everything lives in hgq_keras."""

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

__all__ = [
    "QAveragePooling1D",
    "QAveragePooling2D",
    "QAveragePooling3D",
    "QGlobalAveragePooling1D",
    "QGlobalAveragePooling2D",
    "QGlobalAveragePooling3D",
    "QGlobalMaxPooling1D",
    "QGlobalMaxPooling2D",
    "QGlobalMaxPooling3D",
    "QMaxPooling1D",
    "QMaxPooling2D",
    "QMaxPooling3D",
]
