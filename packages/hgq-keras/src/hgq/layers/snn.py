"""Spiking layers and their cells; everything lives in hgq_keras."""

from hgq_keras.layers import (
    QLIF,
    ATan,
    LIFCell,
    QLIFCell,
    QSimpleSNN,
    QSimpleSNNCell,
    SpikingNeuralCell,
    atan,
)

__all__ = ["QLIF", "ATan", "LIFCell", "QLIFCell", "QSimpleSNN", "QSimpleSNNCell", "SpikingNeuralCell", "atan"]
