"""Recurrent layers and their cells; everything lives in hgq_keras."""

from hgq_keras.layers import QGRU, QLSTM, QGRUCell, QLSTMCell, QSimpleRNN, QSimpleRNNCell

__all__ = ["QGRU", "QLSTM", "QGRUCell", "QLSTMCell", "QSimpleRNN", "QSimpleRNNCell"]
