"""Operations on tensors; everything lives in hgq_keras."""

from hgq_keras.layers import (
    QAdd,
    QAveragePow2,
    QDot,
    QEinsum,
    QMaximum,
    QMeanPow2,
    QMinimum,
    QMultiply,
    QSubtract,
    QSum,
)

__all__ = [
    "QAdd",
    "QAveragePow2",
    "QDot",
    "QEinsum",
    "QMaximum",
    "QMeanPow2",
    "QMinimum",
    "QMultiply",
    "QSubtract",
    "QSum",
]
