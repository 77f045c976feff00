"""Layers whose bit-widths are trained: quantizers around one declared operation."""

from hgq_torch.nn._attention import QMultiheadAttention
from hgq_torch.nn._base import QModule
from hgq_torch.nn._conv import QConv1d, QConv2d
from hgq_torch.nn._einsum import QEinsumDense
from hgq_torch.nn._linear import QLinear
from hgq_torch.nn._lookup import QLUT
from hgq_torch.nn._merge import QAdd, QAverage, QCat, QDot, QEinsum, QMatmul, QMaximum, QMinimum, QMul, QSub
from hgq_torch.nn._norm import QBatchNorm1d, QBatchNorm2d
from hgq_torch.nn._pooling import QAvgPool2d, QMaxPool2d
from hgq_torch.nn._reduce import QMean, QSum
from hgq_torch.nn._softmax import QSoftmax
from hgq_torch.nn._table import QEinsumDenseT, QLinearT

__all__ = [
    "QLUT",
    "QAdd",
    "QAverage",
    "QAvgPool2d",
    "QBatchNorm1d",
    "QBatchNorm2d",
    "QCat",
    "QConv1d",
    "QConv2d",
    "QDot",
    "QEinsum",
    "QEinsumDense",
    "QEinsumDenseT",
    "QLinear",
    "QLinearT",
    "QMatmul",
    "QMaxPool2d",
    "QMaximum",
    "QMean",
    "QMinimum",
    "QModule",
    "QMul",
    "QMultiheadAttention",
    "QSoftmax",
    "QSub",
    "QSum",
]
