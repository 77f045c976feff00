"""The gated recurrent unit and its cell; everything lives in hgq_keras."""

from hgq_keras.layers import QGRU, QGRUCell

__all__ = ["QGRU", "QGRUCell"]
