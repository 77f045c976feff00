"""The simple recurrent layer and its cell; everything lives in hgq_keras."""

from hgq_keras.layers import QSimpleRNN, QSimpleRNNCell

__all__ = ["QSimpleRNN", "QSimpleRNNCell"]
