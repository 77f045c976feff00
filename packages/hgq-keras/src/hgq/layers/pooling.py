"""Pooling; everything lives in hgq_keras."""

from hgq_keras.layers import QAveragePooling2D, QMaxPooling2D
from hgq_keras.layers import QAveragePooling2D as QAvgPool2D
from hgq_keras.layers import QMaxPooling2D as QMaxPool2D

__all__ = ["QAveragePooling2D", "QAvgPool2D", "QMaxPool2D", "QMaxPooling2D"]
